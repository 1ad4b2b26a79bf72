// TLS on both sides, on handle channels.

import '../support/use-handle-channels.ts';
import { tlsSockets } from '../suites/tls-sockets.ts';

tlsSockets('handle');

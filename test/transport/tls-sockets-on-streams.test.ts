// TLS on both sides, on stream channels.

import '../support/use-stream-channels.ts';
import { tlsSockets } from '../suites/tls-sockets.ts';

tlsSockets('stream');

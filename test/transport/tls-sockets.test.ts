// TLS on both sides, on handle channels.

import { tlsSockets } from '../suites/tls-sockets.ts';

tlsSockets('handle');

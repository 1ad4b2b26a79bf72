// What a TLS client sends first, as bytes.

import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';

/** The ClientHello of a connection with these options; with a session, of one that wants to resume it. */
export function clientHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const listener = createServer((socket) => {
      listener.close();
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        resolve(bytes);
        socket.destroy();
      });
    });
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address() as AddressInfo;
      connect({ ...options, port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {});
    });
  });
}

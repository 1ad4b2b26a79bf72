// What has come to a socket of this machine and was not read yet, as the kernel tells it.

import { readFileSync } from 'node:fs';

/** Of the end at `localPort` of a TCP connection over IPv4 to `remotePort`. @returns undefined where there is no such connection */
export function unreadBytes(localPort: number, remotePort: number): number | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const end = new RegExp(`: \\w+:${hex(localPort)} \\w+:${hex(remotePort)} \\w+ \\w+:(\\w+) `);
  const [, bytes] = end.exec(readFileSync('/proc/net/tcp', 'latin1')) ?? [];
  return bytes === undefined ? undefined : Number.parseInt(bytes, 16);
}

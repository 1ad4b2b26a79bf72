// nginx.conf as this demo runs it: the file itself, but for ports that are taken and for machines without IPv6.

import { createServer } from 'node:net';

export interface DemoPlaces {
  /** Which port stands in for which port of the file. */
  readonly ports: ReadonlyMap<number, number>;
  /** Where there is no IPv6, nothing listens on [::1]. */
  readonly ipv6: boolean;
  /** What stands in for the folder .sockgate of the file. */
  readonly files: string;
}

const FILES = / \.sockgate\//g;
const LISTENS_ON_IPV6 = /^ *listen \[::1\].*\n/gm;
const LOOPBACK_PORT = /(127\.0\.0\.1|\[::1\]):(\d+)/g;

export function adaptConf(text: string, { ports, ipv6, files }: DemoPlaces): string {
  return (ipv6 ? text : text.replace(LISTENS_ON_IPV6, ''))
    .replace(LOOPBACK_PORT, (_whole, host, port) => `${host}:${ports.get(Number(port)) ?? port}`)
    .replace(FILES, () => ` ${files}/`);
}

/** @returns the code of what stands in the way: EADDRINUSE, EACCES; EADDRNOTAVAIL or EAFNOSUPPORT where there is no such host */
export function tryPort(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export async function hasIpv6(): Promise<boolean> {
  return (await tryPort('::1', 0)) === undefined;
}

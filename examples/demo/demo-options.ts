// What the demo can be told: on the command line, or in the environment.

import { join } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly http: number;
  readonly https: number;
  /** The port of the first echo peer; the others have the next ones. 0: any that are free. */
  readonly peers: number;
  /** Where the certificate, its key and the access log are kept. Absolute, or relative to the current folder. */
  readonly files: string;
}

/** As they stand in nginx.conf. */
export const DEFAULT_PORTS = { http: 8080, https: 8443, peers: 9001 } as const;
export const DEFAULT_FILES = join(import.meta.dirname, '.sockgate');

export const USAGE = `npm start -- [--http PORT] [--https PORT] [--peers PORT] [--files FOLDER]
  --http   port of http and ws; default ${DEFAULT_PORTS.http}, or SOCKGATE_HTTP_PORT
  --https  port of https and wss; default ${DEFAULT_PORTS.https}, or SOCKGATE_HTTPS_PORT
  --peers  port of the first of the three echo peers, 0 for any that are free; default ${DEFAULT_PORTS.peers}
  --files  where the certificate and the access log are kept; default examples/demo/.sockgate`;

/** A sentence for the user. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}

const MOST_PORT = 65_535;

const options = {
  http: { type: 'string' },
  https: { type: 'string' },
  peers: { type: 'string' },
  files: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @returns undefined where help was asked for. @throws DemoError */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): DemoOptions | undefined {
  const { http, https, peers = `${DEFAULT_PORTS.peers}`, files = DEFAULT_FILES, help } = parse(args);
  if (help === true) return undefined;
  const read = {
    http: readPort(http ?? env['SOCKGATE_HTTP_PORT'] ?? `${DEFAULT_PORTS.http}`),
    https: readPort(https ?? env['SOCKGATE_HTTPS_PORT'] ?? `${DEFAULT_PORTS.https}`),
    peers: readPort(peers, { least: 0, most: MOST_PORT - 2 }),
    files,
  };
  if (read.http === read.https) throw new DemoError(`http and https cannot both have port ${read.http}`);
  return read;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new DemoError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function readPort(text: string, { least = 1, most = MOST_PORT } = {}): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < least || port > most)
    throw new DemoError(`"${text}" is no port: it must be a number from ${least} to ${most}`);
  return port;
}

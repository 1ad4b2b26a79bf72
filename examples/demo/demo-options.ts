// What the demo can be told: on the command line, or in the environment.

import { join } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly http: number;
  readonly https: number;
  /** Where the certificate, its key and the access log are kept. Absolute, or relative to the current folder. */
  readonly files: string;
}

/** As they stand in nginx.conf. */
export const DEFAULT_PORTS = { http: 8080, https: 8443 } as const;
export const DEFAULT_FILES = join(import.meta.dirname, '.sockgate');

export const USAGE = `npm start -- [--http PORT] [--https PORT] [--files FOLDER]
  --http   port of http and ws; default ${DEFAULT_PORTS.http}, or SOCKGATE_HTTP_PORT
  --https  port of https and wss; default ${DEFAULT_PORTS.https}, or SOCKGATE_HTTPS_PORT
  --files  where the certificate and the access log are kept; default examples/demo/.sockgate`;

/** A sentence for the user. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}

const options = {
  http: { type: 'string' },
  https: { type: 'string' },
  files: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @returns undefined where help was asked for. @throws DemoError */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): DemoOptions | undefined {
  const { http, https, files = DEFAULT_FILES, help } = parse(args);
  if (help === true) return undefined;
  const read = {
    http: readPort(http ?? env['SOCKGATE_HTTP_PORT'] ?? `${DEFAULT_PORTS.http}`),
    https: readPort(https ?? env['SOCKGATE_HTTPS_PORT'] ?? `${DEFAULT_PORTS.https}`),
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

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new DemoError(`"${text}" is no port: it must be a number from 1 to 65535`);
  return port;
}

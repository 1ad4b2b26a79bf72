// Which files the command means: relative to the prefix as in nginx, with defaults that suit a program without a home of its own.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ConfigurationSource } from '../lifecycle/engine.ts';
import type { Options } from './options.ts';

/** Looked for under the prefix, in this order, where there is no `-c`. */
export const CONFIG_FILES = ['conf/nginx.conf', 'nginx.conf'] as const;
/** Under the prefix, where there is no `-e` and its folder exists; else the standard error output. */
export const ERROR_LOG = 'logs/error.log';

/**
 * @param folder the current one. It is the default prefix, for an installed npm package has no place for configurations and logs; so
 * `sockgate -c nginx.conf` runs the nginx.conf that the user sees.
 */
export function findSource(options: Options, folder = process.cwd()): ConfigurationSource {
  const prefix = withSlash(resolve(folder, options.prefix ?? ''));
  const under = (path: string): string => (path.startsWith('/') ? path : prefix + path);
  return {
    prefix,
    configFile: under(options.configFile ?? findConfigFile(under)),
    globals: options.globals,
    errorLogPath:
      options.errorLog === undefined
        ? findErrorLog(under)
        : options.errorLog === 'stderr'
          ? 'stderr'
          : under(options.errorLog),
  };
}

const withSlash = (path: string): string => (path.endsWith('/') ? path : `${path}/`);

/** Where there is none, the first name is the one that is missed. */
function findConfigFile(under: (path: string) => string): string {
  return CONFIG_FILES.find((path) => existsSync(under(path))) ?? CONFIG_FILES[0];
}

function findErrorLog(under: (path: string) => string): string {
  return existsSync(under('logs')) ? under(ERROR_LOG) : 'stderr';
}

// state: the servers of an upstream from a file of their own.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#state

import { argumentCount, directiveValue } from '../config/arguments.ts';
import type { DirectiveSpec } from '../config/directive.ts';
import { ConfigError, type Warn } from '../config/errors.ts';
import { readConfiguration } from '../config/parser.ts';
import type { Directive, Position } from '../config/tree.ts';
import type { Workshop } from './draft.ts';

/**
 * The values of its `server` lines, each as in the upstream's own block; none where the file is not there. Mistakes in it are told
 * where they stand.
 * @param spec the declaration of `server`
 * @returns undefined where a line was refused
 */
export function stateServers<T>(
  file: string,
  at: Position | undefined,
  spec: DirectiveSpec,
  { files, problems, fromPrefix }: Workshop,
): readonly T[] | undefined {
  const path = fromPrefix(file);
  if (file === '') throw new ConfigError('invalid value "" in "state" directive', at);
  if (!files.exists(path)) return [];
  const { root } = readConfiguration({ file: path, files, problems });
  const warn: Warn = (message, place) => problems.warn(message, place);
  const values = root.directives.map((line) => problems.attempt(() => serverValue(line, spec, warn)));
  if (values.includes(undefined) || problems.failed) return undefined;
  return values as readonly T[];
}

function serverValue(line: Directive, spec: DirectiveSpec, warn: Warn): unknown {
  const count = argumentCount(spec.args);
  if (line.name !== 'server' || line.block !== undefined)
    throw new ConfigError(`"${line.name}" directive is not allowed in a file of "state"`, line.at);
  if (line.args.length < count.least)
    throw new ConfigError('invalid number of arguments in "server" directive', line.at);
  return directiveValue(spec, count, line, warn);
}

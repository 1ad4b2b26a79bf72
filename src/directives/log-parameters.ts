// The parameters of access_log behind its path and format: gzip, buffer, flush, if.
// https://nginx.org/en/docs/http/ngx_http_log_module.html#access_log

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseSize, parseTime } from '../config/quantities.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';

export interface LogParameters {
  /** Bytes; undefined: lines are written at once. */
  readonly buffer: number | undefined;
  /** ms; 0: only when the buffer is full. */
  readonly flush: number;
  readonly condition: Template | undefined;
  /** Level of compression; 0: none. */
  readonly gzip: number;
}

type Given = { -readonly [Key in keyof LogParameters]: LogParameters[Key] };

export const logParametersKind: Kind<'parameters', LogParameters> = {
  name: 'parameters',
  syntax: '[gzip[=level]] [buffer=size] [flush=time] [if=condition]',
  takes: 'any',
  parse: (args) => {
    const given: Given = { buffer: undefined, flush: 0, condition: undefined, gzip: 0 };
    for (const one of args) take(one, given);
    if (given.gzip > 0) given.buffer ??= GZIP_BUFFER;
    return given;
  },
};

function take(one: Argument, given: Given): void {
  const [name, value] = split(one.text);
  if (name === 'buffer' && value !== undefined)
    given.buffer = positive(parseSize(value, 'km'), 'buffer size', value, one);
  else if (name === 'flush' && value !== undefined)
    given.flush = positive(parseTime(value, 'ms'), 'flush time', value, one);
  else if (name === 'if' && value !== undefined) given.condition = parseTemplate(value, one.at);
  else if (name === 'gzip') given.gzip = gzipLevel(one, value);
  else throw new ConfigError(`invalid parameter "${one.text}"`, one.at);
}

function split(text: string): [name: string, value: string | undefined] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

function positive(value: number | undefined, what: string, text: string, { at }: Argument): number {
  if (value === undefined || value === 0) throw new ConfigError(`invalid ${what} "${text}"`, at);
  return value;
}

/** nginx's, where `gzip` stands without `buffer`. */
const GZIP_BUFFER = 64 * 1024;

function gzipLevel({ at }: Argument, value: string | undefined): number {
  const level = value === undefined ? 1 : (parseNumber(value) ?? 0);
  if (level < 1 || level > 9) throw new ConfigError(`invalid compression level "${value}"`, at);
  return level;
}

// expires: how long an answer may be kept, as `Expires` and `Cache-Control` tell it.
// https://nginx.org/en/docs/http/ngx_http_headers_module.html#expires

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseTime } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import { argument, optional, template } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { formatHttpDate, parseHttpDate } from '../http1/http-date.ts';
import type { Workshop } from './draft.ts';

/** Times in seconds: from now, from the time of the file, or of the day. */
type Rule =
  | { readonly kind: 'off' | 'epoch' | 'max' }
  | { readonly kind: 'access' | 'modified' | 'daily'; readonly seconds: number };

const DAY = 86_400;
const THE_END = 'Thu, 31 Dec 2037 23:55:55 GMT';
const THE_BEGINNING = 'Thu, 01 Jan 1970 00:00:01 GMT';
const TEN_YEARS = 315_360_000;

const words = argument('[modified] time', '[modified] time | epoch | max | off', (_text, given) => given);

/** `time`, or `modified time`. */
export const expiresKind = [
  { ...words, name: 'first' },
  optional(argument('second', 'time', (_text, given) => given)),
] as const satisfies readonly Kind[];

export interface WrittenExpires {
  readonly first: Parameters<Kind['parse']>[0][number];
  readonly second: Parameters<Kind['parse']>[0][number] | undefined;
}

/** What sets the two fields of an answer; undefined where nothing shall. @throws ConfigError */
export function compileExpires(
  { first, second }: WrittenExpires,
  workshop: Workshop,
): ((exchange: Exchange) => void) | undefined {
  if (second !== undefined && first.text !== 'modified')
    throw new ConfigError('"expires" directive invalid value', first.at);
  const modified = second !== undefined;
  const value = template('time').parse([second ?? first], 'expires');
  if (value.constant === undefined) return byVariables(value, modified, workshop);
  const rule = readRule(value.constant, modified);
  if (typeof rule === 'string') throw new ConfigError(`"expires" directive ${rule}`, value.at);
  return rule.kind === 'off' ? undefined : (exchange) => applyRule(exchange, rule);
}

/** What makes no rule sets nothing. */
function byVariables(value: Template, modified: boolean, workshop: Workshop): (exchange: Exchange) => void {
  const text = workshop.text(value);
  return (exchange) => {
    const rule = readRule(text(exchange), modified);
    if (typeof rule !== 'string') applyRule(exchange, rule);
  };
}

/** @returns nginx's words for what is wrong */
function readRule(text: string, modified: boolean): Rule | string {
  if (!modified && (text === 'epoch' || text === 'max' || text === 'off')) return { kind: text };
  const daily = text.startsWith('@');
  if (daily && modified) return 'daily time cannot be used with "modified" parameter';
  const time = parseTime(/^[@+-]/.test(text) ? text.slice(1) : text, 's');
  if (time === undefined) return 'invalid value';
  const seconds = text.startsWith('-') ? -time / 1000 : time / 1000;
  if (!daily) return { kind: modified ? 'modified' : 'access', seconds };
  return seconds > DAY ? 'daily time value must be less than 24 hours' : { kind: 'daily', seconds };
}

function applyRule(exchange: Exchange, rule: Rule): void {
  switch (rule.kind) {
    case 'off':
      return;
    case 'epoch':
      setFields(exchange, THE_BEGINNING, 'no-cache');
      return;
    case 'max':
      setFields(exchange, THE_END, `max-age=${TEN_YEARS}`);
      return;
    case 'daily':
      setTime(exchange, nextTime(rule.seconds));
      return;
    default:
      setTime(exchange, rule.seconds + beginOf(exchange, rule.kind), rule.seconds < 0);
  }
}

/** In seconds since 1970; what has no time of its own is as old as this answer. */
function beginOf(exchange: Exchange, kind: 'access' | 'modified'): number {
  const written = kind === 'modified' ? exchange.answer.get('last-modified') : undefined;
  const time = written === undefined ? undefined : parseHttpDate(written);
  return Math.floor((time ?? Date.now()) / 1000);
}

function setTime(exchange: Exchange, expires: number, never = false): void {
  const age = expires - Math.floor(Date.now() / 1000);
  setFields(exchange, formatHttpDate(expires * 1000), never || age < 0 ? 'no-cache' : `max-age=${age}`);
}

/** Each replaces whatever stands there. */
function setFields(exchange: Exchange, expires: string, control: string): void {
  exchange.answer.set('Expires', expires);
  exchange.answer.set('Cache-Control', control);
}

/** The next time that the local clock shows so many seconds after midnight; in seconds since 1970. */
function nextTime(seconds: number): number {
  const today = new Date();
  const at = (day: number): number =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() + day, 0, 0, seconds).getTime() / 1000;
  return at(0) > Date.now() / 1000 ? at(0) : at(1);
}

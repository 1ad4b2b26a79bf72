// `rewrite`: a URI that matches is replaced, by another one or by a redirect.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#rewrite

import type { Exchange } from '../exchange/exchange.ts';
import { DECLINED, type Verdict } from '../exchange/verdict.ts';
import { keepCaptures } from './captures.ts';
import { redirectTo } from './redirects.ts';
import { fill, NEXT_STEP, type ScriptText, type Step } from './script.ts';

export interface Rewriting {
  readonly pattern: RegExp;
  /** As it was written, for the log. */
  readonly written: string;
  readonly path: ScriptText;
  /** What stands behind the first `?` of the replacement; undefined where there is none, and in a redirect, whose path it belongs to. */
  readonly args: ScriptText | undefined;
  /** The arguments of the request are put behind those of the replacement: it did not end in `?`. */
  readonly addsArgs: boolean;
  /** 301 or 302; 0: no redirect. */
  readonly status: number;
  /** A redirect's replacement has arguments already. */
  readonly hasArgs: boolean;
  /** `last`, `break` and redirects end the script. */
  readonly ends: boolean;
  /** `break`: no other location is looked for. */
  readonly stays: boolean;
  /** `rewrite_log`. */
  readonly logs: boolean;
}

export function rewriting(settings: Rewriting): Step {
  return (exchange, run) => {
    const match = settings.pattern.exec(exchange.uri);
    if (settings.logs) logMatch(exchange, settings, match !== null, exchange.uri);
    if (match === null) {
      exchange.captures = undefined;
      return NEXT_STEP;
    }
    keepCaptures(exchange, match);
    run.escapes = false;
    return settings.status === 0 ? replace(exchange, settings) : redirect(exchange, settings);
  };
}

/** nginx's lines of `rewrite_log`. */
export function logMatch(
  exchange: Exchange,
  { written }: Pick<Rewriting, 'written'>,
  fits: boolean,
  text: string,
): void {
  exchange.log('notice', `"${written}" ${fits ? 'matches' : 'does not match'} "${text}"`);
}

function replace(exchange: Exchange, settings: Rewriting): Verdict {
  const uri = fill(settings.path, exchange, false);
  const args = argsOf(exchange, settings);
  if (args === '' && (settings.args !== undefined || exchange.args !== '')) exchange.argsTaken = true;
  exchange.args = args;
  if (settings.logs) exchange.log('notice', `rewritten data: "${uri}", args: "${args}"`);
  if (uri === '') {
    exchange.log('error', 'the rewritten URI has a zero length');
    return 500;
  }
  exchange.uri = uri;
  exchange.isInternal = true;
  exchange.uriIsOriginal = false;
  exchange.uriChanged = !settings.stays;
  if (settings.stays) exchange.uriLeftLocation = true;
  return settings.ends ? DECLINED : NEXT_STEP;
}

function argsOf(exchange: Exchange, { args: written, addsArgs }: Rewriting): string {
  const { args } = exchange;
  if (written === undefined) return addsArgs ? args : '';
  const own = fill(written, exchange, true);
  return addsArgs && args !== '' ? `${own}&${args}` : own;
}

function redirect(exchange: Exchange, settings: Rewriting): Verdict {
  let target = unescapeRedirect(fill(settings.path, exchange, true));
  if (settings.addsArgs && exchange.args !== '') target += (settings.hasArgs ? '&' : '?') + exchange.args;
  if (settings.logs) exchange.log('notice', `rewritten redirect: "${target}"`);
  return redirectTo(exchange, settings.status, target);
}

const PERCENT = 0x25;
const DELETE = 0x7f;

/**
 * Decodes what need not be escaped in a URL, up to its arguments: nginx escapes captures as if all of them were arguments. A `%` that
 * escapes nothing is dropped, as by nginx.
 */
function unescapeRedirect(url: string): string {
  const [path = ''] = url.split(/\?|%3f/i, 1);
  if (!path.includes('%') && path.length === url.length) return url;
  const rest = url.slice(path.length);
  return (
    path.replace(/%(?:([0-9a-f]{2})|[0-9a-f][\s\S]|)/gi, unescapeOne) +
    (rest.startsWith('%') ? `?${rest.slice(3)}` : rest)
  );
}

function unescapeOne(escaped: string, digits: string | undefined): string {
  if (digits === undefined) return '';
  const code = Number.parseInt(digits, 16);
  return code > PERCENT && code < DELETE ? String.fromCharCode(code) : escaped;
}

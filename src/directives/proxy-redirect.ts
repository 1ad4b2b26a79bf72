// proxy_redirect: where a peer sends the client, in words that the client can follow.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_redirect

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import type { Template } from '../config/template.ts';
import type { Argument, Position } from '../config/tree.ts';
import { template } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Headers } from '../http1/headers.ts';
import { locationOf } from '../route/redirects.ts';
import type { AnswerChange } from '../serve/proxy-settings.ts';
import type { Level, LocationDraft } from './draft.ts';
import { prefixRewrite, type Rewrite, regexRewrite, rewriteValue } from './rewrite-value.ts';

export type WrittenRedirect =
  | { readonly kind: 'off' | 'default'; readonly at: Position }
  | { readonly kind: 'prefix'; readonly prefix: Template; readonly replacement: Template; readonly at: Position }
  | { readonly kind: 'regex'; readonly regexp: RegExp; readonly replacement: Template; readonly at: Position };

export const redirectKind: Kind<'redirect', WrittenRedirect> = {
  name: 'redirect',
  syntax: 'default | off | redirect replacement',
  takes: 'rest',
  parse: (args, directive) => {
    const [first, second, third] = args as [Argument, Argument | undefined, Argument | undefined];
    if (third !== undefined) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, third.at);
    if (second === undefined) return readWord(first);
    const replacement = template('replacement').parse([second], directive);
    if (first.text.startsWith('~')) return { kind: 'regex', regexp: readRegex(first), replacement, at: first.at };
    return { kind: 'prefix', prefix: template('redirect').parse([first], directive), replacement, at: first.at };
  },
};

function readWord({ text, at }: Argument): WrittenRedirect {
  if (text === 'off' || text === 'default') return { kind: text, at };
  throw new ConfigError(`invalid parameter "${text}"`, at);
}

function readRegex({ text, at }: Argument): RegExp {
  const insensitive = text.startsWith('~*');
  return compilePattern(text.slice(insensitive ? 2 : 1), { insensitive, at }).regexp;
}

/** nginx reads from top to bottom: what it knows by then decides whether `off` and `default` may stand there. */
export function checkRedirects(written: readonly WrittenRedirect[], url: Template | undefined, level: Level): void {
  if (!level.has('proxy_redirect')) return;
  const [, second] = written;
  if (second !== undefined && written.some(({ kind }) => kind === 'off'))
    throw new ConfigError('"proxy_redirect" directive is duplicate', second.at);
  const byDefault = written.find(({ kind }) => kind === 'default');
  if (byDefault === undefined) return;
  const names = level.block.directives.map(({ name }) => name);
  const pass = names.indexOf('proxy_pass');
  if (pass < 0 || pass > names.indexOf('proxy_redirect'))
    throw new ConfigError('"proxy_redirect default" should be placed after the "proxy_pass" directive', byDefault.at);
  if (url !== undefined && url.constant === undefined)
    throw new ConfigError(
      '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables',
      byDefault.at,
    );
}

/** What rewrites the redirects of an answer that is passed on; undefined: nothing is rewritten. */
export function redirectChanger(
  written: readonly WrittenRedirect[],
  url: Template,
  draft: LocationDraft,
): AnswerChange | undefined {
  const rewrites = (written.length === 0 ? BY_DEFAULT : written).flatMap((one) => rewriteOf(one, url, draft) ?? []);
  if (rewrites.length === 0) return undefined;
  return (exchange) => {
    rewriteLocation(exchange, rewrites);
    rewriteRefresh(exchange, rewrites);
  };
}

const BY_DEFAULT = [{ kind: 'default' }] as const;

function rewriteOf(
  written: WrittenRedirect | (typeof BY_DEFAULT)[number],
  url: Template,
  draft: LocationDraft,
): Rewrite | undefined {
  const { workshop } = draft;
  switch (written.kind) {
    case 'off':
      return undefined;
    case 'default':
      return url.constant === undefined ? undefined : defaultRewrite(url.constant, draft);
    case 'prefix':
      return prefixRewrite(workshop.text(written.prefix), workshop.text(written.replacement));
    case 'regex':
      return regexRewrite(written.regexp, workshop.text(written.replacement), workshop);
  }
}

/** What proxy_pass has put in place of the location is turned back. */
function defaultRewrite(url: string, { pattern }: LocationDraft): Rewrite {
  const hasUri = /^https?:\/\/(?:unix:[^:]*:|[^/?]*)[/?]/i.test(url);
  const [from, to] = hasUri ? [url, pattern?.text ?? ''] : [`${url}/`, '/'];
  return prefixRewrite(
    () => from,
    () => to,
  );
}

function rewriteLocation(exchange: Exchange, rewrites: readonly Rewrite[]): void {
  const value = exchange.answer.get('location');
  const made = value === undefined ? undefined : rewriteValue(exchange, value, rewrites);
  if (made !== undefined) exchange.answer.set(nameOf(exchange.answer, 'location'), locationOf(exchange, made));
}

/** `Refresh: 5; url=http://peer/`: only what follows `url=`. */
function rewriteRefresh(exchange: Exchange, rewrites: readonly Rewrite[]): void {
  const whole = exchange.answer.get('refresh');
  const url = whole === undefined ? -1 : whole.toLowerCase().indexOf('url=');
  if (whole === undefined || url < 0) return;
  const start = url + 'url='.length;
  const made = rewriteValue(exchange, whole.slice(start), rewrites);
  if (made !== undefined) exchange.answer.set(nameOf(exchange.answer, 'refresh'), whole.slice(0, start) + made);
}

/** As the peer has spelled it. */
function nameOf(headers: Headers, lowerName: string): string {
  for (let i = 0; i < headers.length; i++) if (headers.lowerNameAt(i) === lowerName) return headers.nameAt(i);
  return lowerName;
}

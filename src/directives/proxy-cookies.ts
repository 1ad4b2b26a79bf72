// proxy_cookie_domain, proxy_cookie_path and proxy_cookie_flags: a peer's cookies in the words of the place that the client sees.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cookie_domain

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { lowerCase } from '../config/source.ts';
import type { Template } from '../config/template.ts';
import type { Argument, Position } from '../config/tree.ts';
import { template } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import type { AnswerChange } from '../serve/proxy-settings.ts';
import { editFlags, flagsOf, parseSetCookie, printSetCookie, type SetCookie } from '../serve/set-cookie.ts';
import type { Level, Workshop } from './draft.ts';
import { defineCaptures } from './named-captures.ts';
import { fits, prefixRewrite, type Rewrite, regexRewrite, rewriteValue } from './rewrite-value.ts';

/** What is compared with a cookie's name, or with one of its attributes. */
type WrittenMatch = { readonly regexp: RegExp } | { readonly text: Template };

/** `off`, or something to do where `match` fits: the arguments behind it. */
export type WrittenCookieChange =
  | { readonly off: true; readonly at: Position }
  | { readonly off: false; readonly match: WrittenMatch; readonly values: readonly Template[]; readonly at: Position };

interface ChangeSyntax {
  readonly syntax: string;
  /** So many arguments it takes at most. */
  readonly most: number;
  /** `~` alone distinguishes upper and lower case, as `~*` does not. */
  readonly sensitive: boolean;
  /** A dot at the beginning of a domain says nothing. */
  readonly dots: 'kept' | 'dropped';
}

function changeKind(how: ChangeSyntax): Kind<'change', WrittenCookieChange> {
  return {
    name: 'change',
    syntax: how.syntax,
    takes: 'rest',
    parse: (args, directive) => readChange(args, directive, how),
  };
}

function readChange(args: readonly Argument[], directive: string, how: ChangeSyntax): WrittenCookieChange {
  const [first, ...values] = args as [Argument, ...Argument[]];
  const extra = args[how.most];
  if (extra !== undefined) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, extra.at);
  if (values.length === 0) return readOff(first);
  const isRegex = first.text.startsWith('~');
  const dotless = how.dots === 'dropped' && !isRegex;
  const match = isRegex ? readRegex(first, how.sensitive) : { text: readText(first, dotless) };
  return { off: false, match, values: values.map((value) => readText(value, dotless)), at: first.at };
}

function readOff({ text, at }: Argument): WrittenCookieChange {
  if (text !== 'off') throw new ConfigError(`invalid parameter "${text}"`, at);
  return { off: true, at };
}

function readText(argument: Argument, dotless: boolean): Template {
  const text = dotless && argument.text.startsWith('.') ? argument.text.slice(1) : argument.text;
  return template('text').parse([{ ...argument, text }], '');
}

function readRegex({ text, at }: Argument, sensitive: boolean): WrittenMatch {
  const insensitive = !sensitive || text.startsWith('~*');
  const source = text.slice(sensitive && insensitive ? 2 : 1);
  return { regexp: compilePattern(source, { insensitive, at }).regexp };
}

export const cookieDomainKind = changeKind({
  syntax: 'off | domain replacement',
  most: 2,
  sensitive: false,
  dots: 'dropped',
});
export const cookiePathKind = changeKind({ syntax: 'off | path replacement', most: 2, sensitive: true, dots: 'kept' });
export const cookieFlagsKind = changeKind({
  syntax: 'off | cookie flag ...',
  most: 4,
  sensitive: false,
  dots: 'kept',
});

/** `off` stands alone. */
export function checkCookieChanges(name: string, written: readonly WrittenCookieChange[], level: Level): void {
  const [, second] = written;
  if (second !== undefined && level.has(name) && written.some(({ off }) => off))
    throw new ConfigError(`"${name}" directive is duplicate`, second.at);
}

/** The flags for a cookie of that name; undefined where it is another's. */
type FlagsFor = (exchange: Exchange, name: string) => readonly Text[] | undefined;

export interface WrittenCookieChanges {
  readonly proxy_cookie_domain: readonly WrittenCookieChange[];
  readonly proxy_cookie_path: readonly WrittenCookieChange[];
  readonly proxy_cookie_flags: readonly WrittenCookieChange[];
}

/** What changes the cookies of an answer before it is passed on; undefined where nothing is to be changed. */
export function cookieChanger(set: WrittenCookieChanges, workshop: Workshop): AnswerChange | undefined {
  const domains = set.proxy_cookie_domain.flatMap((one) => rewriteOf(one, workshop, domainRewrite) ?? []);
  const paths = set.proxy_cookie_path.flatMap((one) => rewriteOf(one, workshop, prefixRewrite) ?? []);
  const flags = set.proxy_cookie_flags.flatMap((one) => flagsFor(one, workshop) ?? []);
  if (domains.length + paths.length + flags.length === 0) return undefined;
  return (exchange, from) => {
    const { answer } = exchange;
    for (let i = from; i < answer.length; i++) {
      if (answer.lowerNameAt(i) !== 'set-cookie') continue;
      const changed = changedCookie(exchange, answer.valueAt(i), domains, paths, flags);
      if (changed !== undefined) answer.replaceAt(i, changed);
    }
  };
}

/** undefined: it stays as it is. */
function changedCookie(
  exchange: Exchange,
  value: string,
  domains: readonly Rewrite[],
  paths: readonly Rewrite[],
  flags: readonly FlagsFor[],
): string | undefined {
  const cookie = parseSetCookie(value);
  if (cookie === undefined) return undefined;
  const rewrittenDomain = rewriteAttribute(exchange, cookie, 'domain', domains);
  const rewrittenPath = rewriteAttribute(exchange, cookie, 'path', paths);
  const flagged = changeFlags(exchange, cookie, flags);
  return rewrittenDomain || rewrittenPath || flagged ? printSetCookie(cookie) : undefined;
}

function rewriteAttribute(exchange: Exchange, cookie: SetCookie, name: string, rewrites: readonly Rewrite[]): boolean {
  if (rewrites.length === 0) return false;
  let changed = false;
  for (const attribute of cookie.attributes) {
    if (attribute.value === undefined || lowerCase(attribute.name) !== name) continue;
    const made = rewriteValue(exchange, attribute.value, rewrites);
    if (made === undefined) continue;
    attribute.value = made;
    changed = true;
  }
  return changed;
}

function changeFlags(exchange: Exchange, cookie: SetCookie, flags: readonly FlagsFor[]): boolean {
  for (const find of flags) {
    const found = find(exchange, cookie.name);
    if (found !== undefined) return editFlags(cookie, flagsOf(found.map((flag) => flag(exchange))));
  }
  return false;
}

function rewriteOf(
  written: WrittenCookieChange,
  workshop: Workshop,
  plain: (match: Text, replacement: Text) => Rewrite,
): Rewrite | undefined {
  if (written.off) return undefined;
  const replacement = workshop.text(written.values[0] as Template);
  const { match } = written;
  if ('text' in match) return plain(workshop.text(match.text), replacement);
  return regexRewrite(match.regexp, replacement, workshop);
}

/** The whole domain, whatever its case; a dot before it stays. */
function domainRewrite(match: Text, replacement: Text): Rewrite {
  return (exchange, value) => {
    const dot = value.startsWith('.') ? '.' : '';
    if (lowerCase(value.slice(dot.length)) !== lowerCase(match(exchange))) return undefined;
    return dot + replacement(exchange);
  };
}

function flagsFor(written: WrittenCookieChange, workshop: Workshop): FlagsFor | undefined {
  if (written.off) return undefined;
  const flags = written.values.map((value) => workshop.text(value));
  const { match } = written;
  if ('regexp' in match) {
    defineCaptures(workshop, match.regexp);
    return (exchange, name) => (fits(exchange, match.regexp, name) ? flags : undefined);
  }
  const wanted = workshop.text(match.text);
  return (exchange, name) => (lowerCase(wanted(exchange)) === lowerCase(name) ? flags : undefined);
}

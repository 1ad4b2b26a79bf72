// charset: tells the charset of an answer in its Content-Type, and turns its body into another charset.
// https://nginx.org/en/docs/http/ngx_http_charset_module.html

import { BodyFilter } from '../exchange/body-filter.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isFieldValue } from '../http1/headers.ts';
import { forgetLength } from './another-body.ts';
import type { Conversion, Recode } from './charset-conversions.ts';
import { mediaType } from './media-type.ts';

/** The charsets that a configuration names. */
export interface Charsets {
  /** As they are written, by their names in lower case. */
  readonly names: ReadonlyMap<string, string>;
  /** By `conversionKey`. */
  readonly conversions: ReadonlyMap<string, Conversion>;
}

/** By which name a conversion is found. @param from in any case @param to in any case */
export function conversionKey(from: string, to: string): string {
  return `${from.toLowerCase()} ${to.toLowerCase()}`;
}

export interface CharsetSettings {
  readonly charsets: Charsets;
  /** What answers shall have; undefined: what they have. It may tell none. */
  readonly charset: ((exchange: Exchange) => string | undefined) | undefined;
  /** What they have where they do not say it. */
  readonly source: ((exchange: Exchange) => string | undefined) | undefined;
  /** Also those that say that they have one. */
  readonly override: boolean;
  /** Media types in lower case; undefined: all. */
  readonly types: ReadonlySet<string> | undefined;
}

const OVERRIDING = Symbol('the charset that a peer wants its answer to have');

/** A peer's `X-Accel-Charset`: the answer shall have this charset, whatever the configuration says of it. */
export function overrideCharset(exchange: Exchange, charset: string): void {
  exchange.setNote(OVERRIDING, charset);
}

/** As a header filter. */
export function applyCharset(exchange: Exchange, settings: CharsetSettings): void {
  if (exchange.parent !== undefined) return;
  const type = splitType(exchange.answer.get('content-type') ?? '');
  if (type.bare === '') return;
  const to = wantedCharset(exchange, settings, type);
  if (to === undefined) return;
  const from = type.charset === '' ? settings.source?.(exchange) : type.charset;
  if (from === undefined || from.toLowerCase() === to.toLowerCase()) tellCharset(exchange, type.bare, to);
  else convertAnswer(exchange, settings.charsets, type.bare, from, to);
}

interface SplitType {
  /** Without its charset, and what stands behind that. */
  readonly bare: string;
  /** '' where it says none. */
  readonly charset: string;
}

function splitType(type: string): SplitType {
  const found = /;[ \t]*charset="?([^";]*)"?/i.exec(type);
  return found === null
    ? { bare: type, charset: '' }
    : { bare: type.slice(0, found.index), charset: found[1] as string };
}

function wantedCharset(
  exchange: Exchange,
  settings: CharsetSettings,
  { bare, charset }: SplitType,
): string | undefined {
  const overriding = exchange.note<string>(OVERRIDING);
  if (overriding !== undefined) return knownCharset(exchange, settings.charsets, overriding);
  if (settings.charset === undefined) return undefined;
  const concerned = charset === '' ? isConcerned(bare, settings.types) : settings.override;
  if (!concerned) return undefined;
  const wanted = settings.charset(exchange);
  // A break in a value, as a decoded URI can give one, would split the head.
  return wanted !== undefined && isFieldValue(wanted) ? wanted : undefined;
}

function knownCharset(exchange: Exchange, { names }: Charsets, name: string): string | undefined {
  if (!names.has(name.toLowerCase())) exchange.log('error', `unknown charset "${name}" to override`);
  return names.has(name.toLowerCase()) ? name : undefined;
}

function isConcerned(type: string, types: ReadonlySet<string> | undefined): boolean {
  return types === undefined || types.has(mediaType(type));
}

/** nginx tells none with a redirect: old browsers took it for that of the next page. */
function tellCharset({ answer, status }: Exchange, bare: string, charset: string): void {
  const silent = charset === '' || status === 301 || status === 302;
  answer.set('Content-Type', silent ? bare : `${bare}; charset=${charset}`);
}

function convertAnswer(exchange: Exchange, charsets: Charsets, bare: string, from: string, to: string): void {
  if ((exchange.answer.get('content-encoding') ?? '') !== '' && isKnown(charsets, from) && isKnown(charsets, to))
    return;
  const conversion = charsets.conversions.get(conversionKey(from, to));
  if (conversion === undefined) {
    exchange.log('error', `no "charset_map" between the charsets "${from}" and "${to}"`);
    return;
  }
  tellCharset(exchange, bare, to);
  if (!conversion.keepsLength) forgetLength(exchange);
  else if (wouldChangeParts(exchange, conversion)) exchange.allowRanges = false;
  if (!exchange.bodiless) exchange.addBodyFilter(new CharsetFilter(conversion.start()));
}

function isKnown({ names }: Charsets, name: string): boolean {
  return names.has(name.toLowerCase());
}

/** Between several ranges stand heads, which are text of ours and no part of the body. */
function wouldChangeParts({ head }: Exchange, { keepsAscii }: Conversion): boolean {
  return !keepsAscii && head.headers.get('range')?.includes(',') === true;
}

class CharsetFilter extends BodyFilter {
  readonly pendingBytes = 0;
  readonly #recode: Recode;

  constructor(recode: Recode) {
    super();
    this.#recode = recode;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const recoded = this.#recode(bytes.subarray(start, end));
    return recoded.length === 0 || this.outlet.write(recoded, 0, recoded.length);
  }

  end(): void {
    this.outlet.end();
  }
}

// charset: tells the charset of answers, and turns them into another one.
// https://nginx.org/en/docs/http/ngx_http_charset_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString, lowerCase } from '../config/source.ts';
import type { Block, Directive } from '../config/tree.ts';
import { any, flag, word } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { applyCharset, type Charsets, conversionKey } from '../serve/answer-charset.ts';
import { betweenBytes, type Conversion, fromUtf8, intoUtf8 } from '../serve/charset-conversions.ts';
import { answerTypes, typeKind } from './answer-types.ts';
import type { HttpDraft, Level, LocationDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { noteOf } from './note-of.ts';

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;

/** What `charset_types` is where nothing is said. */
const USUAL_TYPES: ReadonlySet<string> = new Set([
  'text/html',
  'text/xml',
  'text/plain',
  'text/vnd.wap.wml',
  'application/javascript',
  'application/rss+xml',
]);

const table = directives({
  charset: {
    in: EVERYWHERE,
    args: [word('charset')],
    default: 'off',
    doc: 'The charset of answers, told in `Content-Type`; where it is another than that of `source_charset` or of the answer itself, they are converted. Of what a variable is without a value, nothing is told.',
    differs: 'nginx answers with an error where the variable has no value. A value with a line break counts as none.',
  },
  source_charset: {
    in: EVERYWHERE,
    args: [word('charset')],
    doc: 'The charset that answers are in where they do not say it. A `charset_map` has to say how it becomes that of `charset`.',
  },
  override_charset: {
    in: EVERYWHERE,
    args: [flag],
    default: 'off',
    doc: 'Whether answers that tell their charset are converted, too.',
  },
  charset_types: {
    in: ['http', 'server', 'location'],
    args: [any(typeKind)],
    many: true,
    doc: 'The media types that this is done for, besides `text/html`; `*`: all. Where it is not set: `text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml`.',
  },
  charset_map: {
    in: ['http'],
    args: [word('charset1'), word('charset2')],
    many: true,
    block: 'raw',
    doc: 'How one charset becomes another, and back: on each line a byte and what it is in the other, in hexadecimal; in `utf-8` up to three bytes. What is not named and not ASCII becomes `?`, of UTF-8 `&#1234;`.',
  },
});

type CharsetSet = SetOf<typeof table>;

export const charset = nginxModule('http_charset', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_charset_module.html',
  directives: table,
  http(set, http, level) {
    const found = charsetsOf(http);
    for (const map of set.charset_map) http.workshop.problems.attempt(() => addMap(found, map, http));
    addNames(found, level.block);
  },
  location(set, draft, level) {
    const charsets = charsetsOf(draft.server.http);
    if (charsets.names.size === 0 && set.charset === 'off') return;
    checkConversion(set, draft, level, charsets);
    const settings = {
      charsets,
      charset: set.charset === 'off' ? undefined : nameGetter(set.charset, draft.workshop),
      source: set.source_charset === undefined ? undefined : nameGetter(set.source_charset, draft.workshop),
      override: set.override_charset,
      types: answerTypes(set.charset_types, USUAL_TYPES, draft.workshop),
    };
    draft.headerFilters.push((exchange) => applyCharset(exchange, settings));
  },
});

interface DraftCharsets extends Charsets {
  readonly names: Map<string, string>;
  readonly conversions: Map<string, Conversion>;
}

const CHARSETS = Symbol('charsets');

function charsetsOf(http: HttpDraft): DraftCharsets {
  return noteOf(http, CHARSETS, () => ({ names: new Map(), conversions: new Map() }));
}

/** What any level names is known on all of them. */
function addNames({ names }: DraftCharsets, block: Block): void {
  for (const { name, args, block: inner } of block.directives) {
    if (inner !== undefined && name !== 'charset_map') addNames({ names, conversions: new Map() }, inner);
    const isNaming = name === 'charset' || name === 'source_charset' || name === 'charset_map';
    for (const { text } of isNaming ? args : []) addName(names, text);
  }
}

function addName(names: Map<string, string>, text: string): void {
  if (text === 'off' || text.startsWith('$') || names.has(lowerCase(text))) return;
  names.set(lowerCase(text), text);
}

/** What stands there is a name, or one variable. */
function nameGetter(written: string, { variables }: Workshop): (exchange: Exchange) => string | undefined {
  const name = byteString(written);
  if (!name.startsWith('$')) return () => name;
  const slot = variables.slot(lowerCase(name.slice(1)), undefined);
  return (exchange) => slot.get(exchange);
}

function addMap(charsets: DraftCharsets, map: CharsetSet['charset_map'][number], http: HttpDraft): void {
  const { charset1, charset2, at, block } = map;
  const { conversions } = charsets;
  const names = `"${charset1}" and "${charset2}"`;
  if (lowerCase(charset1) === lowerCase(charset2))
    throw new ConfigError(`"charset_map" between the same charsets ${names}`, at);
  if (lowerCase(charset1) === 'utf-8')
    throw new ConfigError('"charset_map" with "utf-8" charset should be given in the second column', at);
  if (conversions.has(conversionKey(charset1, charset2)))
    throw new ConfigError(`duplicate "charset_map" between ${names}`, at);
  const utf8 = lowerCase(charset2) === 'utf-8';
  const { problems } = http.workshop;
  const lines = block.directives.filter((line) => problems.attempt(() => checkLine(line, utf8)) !== undefined);
  const [there, back] = utf8 ? utf8Conversions(lines) : byteConversions(lines);
  conversions.set(conversionKey(charset1, charset2), there).set(conversionKey(charset2, charset1), back);
}

function byteConversions(lines: readonly Directive[]): [Conversion, Conversion] {
  const pairs = lines.map(({ name, args }) => [hexadecimal(name), hexadecimal(args[0]?.text ?? '')] as const);
  return [betweenBytes(new Map(pairs)), betweenBytes(new Map(pairs.map(([byte, other]) => [other, byte])))];
}

function utf8Conversions(lines: readonly Directive[]): [Conversion, Conversion] {
  const pairs = lines.map(({ name, args }) => [hexadecimal(name), Buffer.from(args[0]?.text ?? '', 'hex')] as const);
  const back = pairs.map(([byte, character]) => [character.toString('utf8').codePointAt(0) ?? 0, byte] as const);
  return [intoUtf8(new Map(pairs)), fromUtf8(new Map(back))];
}

const hexadecimal = (digits: string): number => Number.parseInt(digits, 16);

/** `A3 C2A3`: one byte, and what it is in the other charset: one byte, or up to three in UTF-8. */
function checkLine({ name, args, at, end }: Directive, intoUtf8: boolean): true {
  const [target] = args;
  if (target === undefined || args.length !== 1)
    throw new ConfigError('invalid parameters number', at, { noticed: end });
  if (!/^0*[0-9a-f]{1,2}$/i.test(name)) throw new ConfigError(`invalid value "${name}"`, at);
  const fits = intoUtf8 ? isUtf8(target.text) : /^0*[0-9a-f]{1,2}$/i.test(target.text);
  if (!fits) throw new ConfigError(`invalid value "${target.text}"`, target.at);
  return true;
}

/** One character of UTF-8, in hexadecimal digits; nginx takes none beyond U+FFFF. */
function isUtf8(hexadecimal: string): boolean {
  if (!/^(?:[0-9a-f]{2}){1,4}$/i.test(hexadecimal)) return false;
  const characters = [...Buffer.from(hexadecimal, 'hex').toString('utf8')];
  return characters[0] !== '\ufffd' && (characters[0]?.codePointAt(0) ?? 0) <= 0xffff;
}

/** Where one charset would have to become another, a map must say how. */
function checkConversion(set: CharsetSet, { workshop }: LocationDraft, level: Level, { conversions }: Charsets): void {
  const { charset: to, source_charset: from } = set;
  const isConversion = from !== undefined && to !== 'off' && lowerCase(from) !== lowerCase(to);
  if (!isConversion || from.startsWith('$') || to.startsWith('$')) return;
  if (!(level.has('charset') || level.has('source_charset')) || conversions.has(conversionKey(from, to))) return;
  const at = level.at('charset');
  workshop.error(`no "charset_map" between the charsets "${from}" and "${to}"`, at);
}

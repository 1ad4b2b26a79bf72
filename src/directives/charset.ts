// charset: understood, and told that it has no effect. Answers keep the charset that they came with.
// https://nginx.org/en/docs/http/ngx_http_charset_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { lowerCase } from '../config/source.ts';
import type { Directive } from '../config/tree.ts';
import { flag, rest, telling, text, word } from '../config/values.ts';
import type { HttpDraft, Level, LocationDraft } from './draft.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;
const NOTHING = 'has no effect: answers keep their charset';
const nothing = (_: unknown, directive: string): string => `"${directive}" ${NOTHING}`;

const table = directives({
  charset: {
    in: EVERYWHERE,
    args: [telling(word('charset'), (name, directive) => (name === 'off' ? undefined : nothing(name, directive)))],
    effect: 'notice',
    doc: 'Is understood, with a warning: no charset is added to `Content-Type`, nothing is converted.',
  },
  source_charset: {
    in: EVERYWHERE,
    args: [telling(word('charset'), nothing)],
    effect: 'notice',
    doc: 'See `charset`.',
  },
  override_charset: {
    in: EVERYWHERE,
    args: [telling(flag, (on, directive) => (on ? nothing(on, directive) : undefined))],
    effect: 'notice',
    doc: 'See `charset`.',
  },
  charset_types: {
    in: ['http', 'server', 'location'],
    args: [rest(text('type'))],
    many: true,
    effect: 'no effect',
    doc: 'See `charset`.',
  },
  charset_map: {
    in: ['http'],
    args: [telling(word('charset1'), nothing), word('charset2')],
    many: true,
    block: 'raw',
    effect: 'notice',
    doc: 'How one charset becomes another. Its lines are checked; see `charset`.',
  },
});

type CharsetSet = SetOf<typeof table>;

export const charset = nginxModule('http_charset', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_charset_module.html',
  directives: table,
  http(set, http) {
    for (const map of set.charset_map) http.workshop.problems.attempt(() => checkMap(map, http));
  },
  location(set, draft, level) {
    checkVariables(set, draft);
    checkConversion(set, draft, level);
  },
});

const MAPS = Symbol('charset maps');

/** The pairs of charsets between which there is a map, in both directions. */
function mapsOf({ notes }: HttpDraft): Set<string> {
  const known = (notes.get(MAPS) as Set<string> | undefined) ?? new Set<string>();
  notes.set(MAPS, known);
  return known;
}

const pair = (from: string, to: string): string => `${lowerCase(from)} ${lowerCase(to)}`;

function checkMap({ charset1, charset2, at, block }: CharsetSet['charset_map'][number], http: HttpDraft): void {
  const names = `"${charset1}" and "${charset2}"`;
  if (lowerCase(charset1) === lowerCase(charset2))
    throw new ConfigError(`"charset_map" between the same charsets ${names}`, at);
  if (lowerCase(charset1) === 'utf-8')
    throw new ConfigError('"charset_map" with "utf-8" charset should be given in the second column', at);
  const maps = mapsOf(http);
  if (maps.has(pair(charset1, charset2))) throw new ConfigError(`duplicate "charset_map" between ${names}`, at);
  maps.add(pair(charset1, charset2)).add(pair(charset2, charset1));
  const { problems } = http.workshop;
  for (const line of block.directives) problems.attempt(() => checkLine(line, lowerCase(charset2) === 'utf-8'));
}

/** `A3 C2A3`: one byte, and what it is in the other charset: one byte, or up to four in UTF-8. */
function checkLine({ name, args, at, end }: Directive, intoUtf8: boolean): void {
  const [target] = args;
  if (target === undefined || args.length !== 1)
    throw new ConfigError('invalid parameters number', at, { noticed: end });
  if (!/^0*[0-9a-f]{1,2}$/i.test(name)) throw new ConfigError(`invalid value "${name}"`, at);
  const fits = intoUtf8 ? isUtf8(target.text) : /^0*[0-9a-f]{1,2}$/i.test(target.text);
  if (!fits) throw new ConfigError(`invalid value "${target.text}"`, target.at);
}

/** One character of UTF-8, in hexadecimal digits; nginx takes none beyond U+FFFF. */
function isUtf8(hexadecimal: string): boolean {
  if (!/^(?:[0-9a-f]{2}){1,4}$/i.test(hexadecimal)) return false;
  const characters = [...Buffer.from(hexadecimal, 'hex').toString('utf8')];
  return characters[0] !== '\ufffd' && (characters[0]?.codePointAt(0) ?? 0) <= 0xffff;
}

function checkVariables({ charset, source_charset }: CharsetSet, { workshop }: LocationDraft): void {
  for (const name of [charset, source_charset]) {
    if (name?.startsWith('$')) workshop.variables.slot(lowerCase(name.slice(1)), undefined);
  }
}

/** Where one charset would have to become another, a map must say how. */
function checkConversion(set: CharsetSet, { server, workshop }: LocationDraft, level: Level): void {
  const { charset: to = 'off', source_charset: from = 'off' } = set;
  const isConversion = from !== 'off' && to !== 'off' && lowerCase(from) !== lowerCase(to);
  if (!isConversion || from.startsWith('$') || to.startsWith('$')) return;
  if (!(level.has('charset') || level.has('source_charset')) || mapsOf(server.http).has(pair(from, to))) return;
  const at = level.at('charset');
  workshop.error(`no "charset_map" between the charsets "${from}" and "${to}"`, at);
}

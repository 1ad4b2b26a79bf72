// sub_filter: strings in answers replaced by others.
// https://nginx.org/en/docs/http/ngx_http_sub_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import { any, flag, template } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { SearchStrings } from '../serve/replacements.ts';
import { substitute, type Wanted } from '../serve/substitute.ts';
import { answerTypes, typeKind } from './answer-types.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const SETTINGS = ['http', 'server', 'location'] as const;
const HTML: ReadonlySet<string> = new Set(['text/html']);
/** nginx's own limit. */
const MOST_STRINGS = 255;

const table = directives({
  sub_filter: {
    in: SETTINGS,
    args: [template('string'), template('replacement')],
    many: true,
    doc: 'Replaces a string in the bodies of answers; upper and lower case of ASCII are the same. Both may have variables. Of several strings the one that begins first is replaced, of those that begin at the same place the one that stands first. An answer that is compressed already passes as it is.',
  },
  sub_filter_last_modified: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether such an answer keeps `Last-Modified`, and `ETag` as a weak one; else it has neither.',
  },
  sub_filter_once: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether each string is replaced only where it stands first.',
  },
  sub_filter_types: {
    in: SETTINGS,
    args: [any(typeKind)],
    many: true,
    doc: 'The media types that this is done for, besides `text/html`; `*`: all.',
  },
});

type Pairs = SetOf<typeof table>['sub_filter'];

export const subFilter = nginxModule('http_sub', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_sub_module.html',
  nginx: 'optional',
  directives: table,
  location(set, draft) {
    if (set.sub_filter.length === 0) return;
    const { workshop } = draft;
    const wanted = workshop.problems.attempt(() => compilePairs(set.sub_filter, workshop));
    if (wanted === undefined) return;
    const types = answerTypes(set.sub_filter_types, HTML, workshop);
    const substitution = { wanted, types, once: set.sub_filter_once, keepsLastModified: set.sub_filter_last_modified };
    draft.headerFilters.push((exchange) => substitute(exchange, substitution));
  },
});

type Compiled = (exchange: Exchange) => Wanted | undefined;

/** One for each list, however many locations inherit it. */
const compiled = new WeakMap<Pairs, Compiled>();

function compilePairs(pairs: Pairs, workshop: Workshop): Compiled {
  const known = compiled.get(pairs);
  if (known !== undefined) return known;
  checkPairs(pairs);
  const strings = pairs.map(({ string }) => workshop.text(string));
  const replacements = pairs.map(({ replacement }) => workshop.text(replacement));
  const isConstant = pairs.every(({ string }) => string.constant !== undefined);
  const found = isConstant ? always(pairs, replacements) : (exchange: Exchange) => now(exchange, strings, replacements);
  compiled.set(pairs, found);
  return found;
}

function checkPairs(pairs: Pairs): void {
  for (const [index, { string }] of pairs.entries()) {
    if (string.text === '') throw new ConfigError('empty search pattern', string.at);
    if (index === MOST_STRINGS) throw new ConfigError(`number of search patterns exceeds ${MOST_STRINGS}`, string.at);
  }
}

function always(pairs: Pairs, replacements: readonly Text[]): Compiled {
  const searched = new SearchStrings(pairs.map(({ string }) => byteString(string.constant ?? '')));
  const wanted = { searched, replacements };
  return () => wanted;
}

/** Strings that have variables; what is empty now is not looked for. */
function now(exchange: Exchange, strings: readonly Text[], replacements: readonly Text[]): Wanted | undefined {
  const texts = strings.map((string) => string(exchange));
  const here = texts.flatMap((text, index) => (text === '' ? [] : [index]));
  if (here.length === 0) return undefined;
  const searched = new SearchStrings(here.map((index) => texts[index] as string));
  return { searched, replacements: here.map((index) => replacements[index] as Text) };
}

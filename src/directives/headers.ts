// add_header, add_trailer, expires: fields of our own in the head and behind the body of an answer.
// https://nginx.org/en/docs/http/ngx_http_headers_module.html

import { directives, type SetOf } from '../config/directive.ts';
import type { Template } from '../config/template.ts';
import { literal, oneOf, optional, saying, template } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { Headers, isFieldValue } from '../http1/headers.ts';
import type { HttpDraft, Level, LocationDraft, Workshop } from './draft.ts';
import { compileExpires, expiresKind } from './expires.ts';
import { fieldName } from './field-name.ts';
import { nginxModule } from './module.ts';

/** Other statuses get a field only where it says `always`. */
const USUAL: ReadonlySet<number> = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

/** An answer has one of these: they are replaced, and an empty value takes them away. */
const REPLACED: ReadonlySet<string> = new Set(['etag', 'last-modified']);

interface AddedField {
  readonly name: string;
  readonly value: Text;
  readonly always: boolean;
  readonly replaces: boolean;
}

/** What one level says, with what it takes from the one above. */
interface Fields {
  readonly expires: ((exchange: Exchange) => void) | undefined;
  readonly headers: readonly AddedField[];
  readonly trailers: readonly AddedField[];
}

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;

const field = {
  in: EVERYWHERE,
  args: [
    fieldName('name'),
    template('value'),
    optional(saying(literal('always'), (given) => `invalid parameter "${given}"`)),
  ],
  many: true,
} as const;

const inherited = {
  in: EVERYWHERE,
  args: [oneOf('how', 'on', 'off', 'merge')],
  default: 'on',
  since: '1.29.3',
} as const;

const HOW =
  '`on`: a level has those of the level above unless it has some of its own; `off`: it has only its own; `merge`: its own, then those of the level above.';
const SPLIT =
  'A line break in a value, as a decoded URI can give one, becomes a space: it would split the answer. The name must be one.';

const table = directives({
  expires: {
    in: EVERYWHERE,
    args: expiresKind,
    default: 'off',
    doc: 'Sets `Expires` and `Cache-Control` of answers of status 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308: so long from now, or with `modified` from the time of the file; `@15h30m`: at the next such time of day; `epoch`, `max`, or `off`. A negative time means `no-cache`. Variables are allowed.',
  },
  add_header: {
    ...field,
    doc: 'Adds a field to answers of status 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308; `always`: of any status. An empty value adds none. `ETag` and `Last-Modified` are replaced, and an empty value takes them away.',
    differs: SPLIT,
  },
  add_header_inherit: { ...inherited, doc: `What a level takes of the \`add_header\` above it. ${HOW}` },
  add_trailer: {
    ...field,
    doc: 'Adds a field behind the body of an answer, which is then sent in chunks; of the same statuses as `add_header`. Variables have the value of that moment. HTTP/1.0 has no such fields.',
    differs: SPLIT,
  },
  add_trailer_inherit: { ...inherited, doc: `What a level takes of the \`add_trailer\` above it. ${HOW}` },
});

type Set = SetOf<typeof table>;

export const headers = nginxModule('http_headers', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_headers_module.html',
  directives: table,
  http(set, draft, level) {
    draft.notes.set(FIELDS_OF_HTTP, fieldsOf(set, draft.workshop, level, NO_FIELDS));
  },
  location(set, draft, level) {
    const fields = fieldsOf(set, draft.workshop, level, fieldsAbove(draft));
    fieldsOfLocations.set(draft, fields);
    const { expires } = fields;
    if (expires !== undefined) {
      draft.headerFilters.push((exchange) => {
        if (USUAL.has(exchange.status)) expires(exchange);
      });
    }
    if (fields.headers.length > 0) draft.headerFilters.push((exchange) => addFields(exchange, fields.headers));
    if (fields.trailers.length > 0) draft.headerFilters.push((exchange) => expectTrailers(exchange, fields.trailers));
  },
});

const NO_FIELDS: Fields = { expires: undefined, headers: [], trailers: [] };
const FIELDS_OF_HTTP = Symbol('add_header and add_trailer of http');
const fieldsOfLocations = new WeakMap<LocationDraft, Fields>();

function fieldsAbove({ parent, server }: LocationDraft): Fields {
  if (parent !== undefined) return fieldsOfLocations.get(parent) ?? NO_FIELDS;
  return fieldsOfHttp(server.http);
}

function fieldsOfHttp({ notes }: HttpDraft): Fields {
  return (notes.get(FIELDS_OF_HTTP) as Fields | undefined) ?? NO_FIELDS;
}

function fieldsOf(set: Set, workshop: Workshop, level: Level, above: Fields): Fields {
  const compile = (written: readonly WrittenField[]): readonly AddedField[] =>
    written.map((one) => compileField(one, workshop));
  const headersHere = level.has('add_header') ? compile(set.add_header) : [];
  const trailersHere = level.has('add_trailer') ? compile(set.add_trailer) : [];
  return {
    expires: level.has('expires') ? compileExpires(set.expires, workshop) : above.expires,
    headers: inherit(set.add_header_inherit, headersHere, above.headers),
    trailers: inherit(set.add_trailer_inherit, trailersHere, above.trailers),
  };
}

interface WrittenField {
  readonly name: string;
  readonly value: Template;
  readonly always: string | undefined;
}

function compileField({ name, value, always }: WrittenField, workshop: Workshop): AddedField {
  const replaces = REPLACED.has(name.toLowerCase());
  return { name, value: workshop.text(value), always: always !== undefined, replaces };
}

function inherit(how: 'on' | 'off' | 'merge', own: readonly AddedField[], above: readonly AddedField[]) {
  if (how === 'merge') return [...own, ...above];
  return how === 'off' || own.length > 0 ? own : above;
}

/** A line break, as a decoded URI can give one, would split the answer; RFC 9110 section 5.5 lets a space stand in its place. */
function oneLine(value: string): string {
  return isFieldValue(value) ? value : value.replace(/[\0\r\n]/g, ' ').trimEnd();
}

function addFields(exchange: Exchange, fields: readonly AddedField[]): void {
  const usual = USUAL.has(exchange.status);
  for (const one of fields) if (usual || one.always) addField(exchange, one);
}

function addField(exchange: Exchange, { name, value, replaces }: AddedField): void {
  const said = oneLine(value(exchange));
  if (said === '') {
    if (replaces) exchange.answer.remove(name.toLowerCase());
  } else if (replaces) exchange.answer.set(name, said);
  else exchange.answer.add(name, said);
}

function expectTrailers(exchange: Exchange, fields: readonly AddedField[]): void {
  const usual = USUAL.has(exchange.status);
  const expected = usual ? fields : fields.filter(({ always }) => always);
  if (expected.length > 0) exchange.endTrailers = () => addTrailers(exchange, expected);
}

/** Behind those of the peer, whose own stay as they are for the log. */
function addTrailers(exchange: Exchange, fields: readonly AddedField[]): void {
  const trailers = new Headers();
  const before = exchange.trailers;
  for (let i = 0; i < (before?.length ?? 0); i++) trailers.addFrom(before as Headers, i);
  exchange.trailers = trailers;
  for (const { name, value } of fields) {
    const said = oneLine(value(exchange));
    if (said !== '') trailers.add(name, said);
  }
}

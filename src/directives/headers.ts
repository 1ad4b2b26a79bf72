// add_header: fields of our own in the answer.
// https://nginx.org/en/docs/http/ngx_http_headers_module.html

import { directives } from '../config/directive.ts';
import { literal, optional, saying, template } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { isFieldValue } from '../http1/headers.ts';
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

export const headers = nginxModule('http_headers', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_headers_module.html',
  directives: directives({
    add_header: {
      in: ['http', 'server', 'location', 'if'],
      args: [
        fieldName('name'),
        template('value'),
        optional(saying(literal('always'), (given) => `invalid parameter "${given}"`)),
      ],
      many: true,
      doc: 'Adds a field to answers of status 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308; `always`: of any status. An empty value adds none. `ETag` and `Last-Modified` are replaced, and an empty value takes them away.',
      differs: 'A line break in a value, as a decoded URI can give one, becomes a space: it would split the answer.',
    },
  }),
  location(set, draft) {
    const fields = set.add_header.map(({ name, value, always }) => ({
      name,
      value: draft.workshop.text(value),
      always: always !== undefined,
      replaces: REPLACED.has(name.toLowerCase()),
    }));
    if (fields.length > 0) draft.headerFilters.push((exchange) => addFields(exchange, fields));
  },
});

/** A line break, as a decoded URI can give one, would split the answer; RFC 9110 section 5.5 lets a space stand in its place. */
function oneLine(value: string): string {
  return isFieldValue(value) ? value : value.replace(/[\0\r\n]/g, ' ').trimEnd();
}

function addFields(exchange: Exchange, fields: readonly AddedField[]): void {
  const usual = USUAL.has(exchange.errorStatus === 0 ? exchange.status : exchange.errorStatus);
  for (const field of fields) if (usual || field.always) addField(exchange, field);
}

function addField(exchange: Exchange, { name, value, replaces }: AddedField): void {
  const said = oneLine(value(exchange));
  if (said === '') {
    if (replaces) exchange.answer.remove(name.toLowerCase());
  } else if (replaces) exchange.answer.set(name, said);
  else exchange.answer.add(name, said);
}

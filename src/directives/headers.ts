// add_header: fields of our own in the answer.
// https://nginx.org/en/docs/http/ngx_http_headers_module.html

import { directives } from '../config/directive.ts';
import { literal, optional, template, text } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { nginxModule } from './module.ts';

/** Other statuses get a field only where it says `always`. */
const USUAL: ReadonlySet<number> = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

interface AddedField {
  readonly name: string;
  readonly value: Text;
  readonly always: boolean;
}

export const headers = nginxModule('http_headers', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_headers_module.html',
  directives: directives({
    add_header: {
      in: ['http', 'server', 'location', 'if'],
      args: [text('name'), template('value'), optional(literal('always'))],
      many: true,
      doc: 'Adds a field to answers of status 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308; `always`: of any status. An empty value adds none.',
      differs:
        'A value with a line break, as a decoded URI can give one, is left out and logged: it would split the answer.',
    },
  }),
  location(set, draft) {
    const fields = set.add_header.map(({ name, value, always }) => ({
      name,
      value: draft.workshop.text(value),
      always: always !== undefined,
    }));
    if (fields.length > 0) draft.headerFilters.push((exchange) => addFields(exchange, fields));
  },
});

function addFields(exchange: Exchange, fields: readonly AddedField[]): void {
  const usual = USUAL.has(exchange.errorStatus === 0 ? exchange.status : exchange.errorStatus);
  for (const { name, value, always } of fields) {
    if (!usual && !always) continue;
    const said = value(exchange);
    if (said === '') continue;
    if (/[\0\r\n]/.test(said)) exchange.log('error', `"add_header ${name}" was left out: its value has a line break`);
    else exchange.answer.add(name, said);
  }
}

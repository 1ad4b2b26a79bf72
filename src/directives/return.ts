// return: an answer without further ado. The rest of the rewrite module stands in a file of its own when it comes.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import { optional, template } from '../config/values.ts';
import type { Handler, Text } from '../exchange/exchange.ts';
import { PENDING } from '../exchange/verdict.ts';
import { redirectTo } from '../route/redirects.ts';
import { sendText } from '../serve/answer.ts';
import { typeOf } from '../serve/mime-types.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const table = directives({
  return: {
    in: ['server', 'location'],
    args: [template('code'), optional(template('text'))],
    inherit: false,
    doc: 'Answers with a status, with a text or, for 301, 302, 303, 307 and 308, a URL; `return URL` is a 302. 444 closes without an answer.',
  },
});

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export const rewrite = nginxModule('http_rewrite', {
  nginx: 'default',
  directives: table,
  doc: 'https://nginx.org/en/docs/http/ngx_http_rewrite_module.html',
  server(set, draft) {
    if (set.return !== undefined) draft.rewrite.push(returning(set.return, draft.workshop));
  },
  location(set, draft) {
    if (set.return !== undefined && draft.pattern !== undefined)
      draft.rewrite.push(returning(set.return, draft.workshop));
  },
});

function returning({ code, text }: { code: Template; text: Template | undefined }, workshop: Workshop): Handler {
  if (text === undefined && isUrl(code.text)) return redirecting(302, workshop.text(code));
  const status = readStatus(code);
  if (text === undefined) return () => status;
  const body = workshop.text(text);
  return REDIRECTS.has(status) ? redirecting(status, body) : answering(status, body);
}

const isUrl = (text: string): boolean => /^(https?:\/\/|\$)/i.test(text);

function readStatus({ text, at }: Template): number {
  if (!/^\d+$/.test(text) || Number(text) > 999) throw new ConfigError(`invalid return code "${text}"`, at);
  return Number(text);
}

function redirecting(status: number, url: Text): Handler {
  return (exchange) => redirectTo(exchange, status, url(exchange));
}

function answering(status: number, body: Text): Handler {
  return (exchange) => {
    const { types, defaultType } = exchange.location;
    sendText(exchange, status, typeOf(exchange.uri, types, defaultType), body(exchange));
    // The exchange is finished: no later phase may look at it.
    return PENDING;
  };
}

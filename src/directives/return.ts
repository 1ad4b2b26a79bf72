// return: an answer without further ado. The rest of the rewrite module stands in a file of its own when it comes.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import { optional, template } from '../config/values.ts';
import type { Handler, Text } from '../exchange/exchange.ts';
import { PENDING } from '../exchange/verdict.ts';
import { redirectTo } from '../route/redirects.ts';
import { sendText } from '../serve/answer.ts';
import { typeOf } from '../serve/mime-types.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

interface WrittenReturn {
  readonly code: Template;
  readonly text: Template | undefined;
}

const MOST = 999;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export const rewrite = nginxModule('http_rewrite', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_rewrite_module.html',
  directives: directives({
    return: {
      in: ['server', 'location', 'if', 'server if'],
      args: [template('code'), optional(template('text'))],
      many: true,
      inherit: false,
      doc: 'Answers with a status, with a text or, for 301, 302, 303, 307 and 308, a URL; `return URL` is a 302. 444 closes without an answer. Of several the first one counts.',
      differs: 'Control characters in a URL, as of a decoded `$uri`, are escaped: they would split the answer.',
    },
  }),
  server(set, { rewrite, workshop }) {
    rewrite.push(...returning(set.return, workshop));
  },
  location(set, { pattern, rewrite, workshop }) {
    // A server's own has been done before a location is looked for.
    if (pattern !== undefined) rewrite.push(...returning(set.return, workshop));
  },
});

/** Of each, what it does, if only to find what is wrong with those that are never reached. */
function returning(written: readonly WrittenReturn[], workshop: Workshop): Handler[] {
  return written.map(({ code, text }) => {
    if (text === undefined && isUrl(code.text)) return redirecting(302, workshop.text(code));
    return answeringWith(readStatus(code), text === undefined ? undefined : workshop.text(text));
  });
}

const isUrl = (text: string): boolean => /^(https?:\/\/|\$scheme)/.test(text);

function readStatus({ text, at }: Template): number {
  const status = parseNumber(text);
  if (status === undefined || status > MOST) throw new ConfigError(`invalid return code "${text}"`, at);
  return status;
}

/** An error without a text of its own is left to `error_page`. */
function answeringWith(status: number, text: Text | undefined): Handler {
  if (REDIRECTS.has(status)) return redirecting(status, text ?? EMPTY);
  return text === undefined && status >= 400 ? () => status : answering(status, text ?? EMPTY);
}

const EMPTY: Text = () => '';

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

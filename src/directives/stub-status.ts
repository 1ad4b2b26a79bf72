// stub_status: a page that says how many connections there are and what they do.
// https://nginx.org/en/docs/http/ngx_http_stub_status_module.html

import { directives } from '../config/directive.ts';
import { optional, word } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { DONE, type Verdict } from '../exchange/verdict.ts';
import { sendText } from '../serve/answer.ts';
import { nginxModule } from './module.ts';

export const stubStatus = nginxModule('http_stub_status', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_stub_status_module.html',
  directives: directives({
    stub_status: {
      in: ['server', 'location'],
      args: [optional(word('any'))],
      many: true,
      inherit: false,
      doc: 'Answers with the numbers of connections, over all workers: active, accepted, handled, and how many requests there were; of the active ones those whose request is being read, those whose request is being answered or that are tunnels, and those that wait. An argument is ignored.',
    },
  }),
  variables: {
    connections_active: ({ pipeline }) => `${pipeline.connectionCounts.active}`,
    connections_reading: ({ pipeline }) => `${pipeline.connectionCounts.reading}`,
    connections_writing: ({ pipeline }) => `${pipeline.connectionCounts.writing}`,
    connections_waiting: ({ pipeline }) => `${pipeline.connectionCounts.waiting}`,
  },
  location(_, draft, level) {
    if (level.has('stub_status')) draft.contentHandler = sendStatus;
  },
});

function sendStatus(exchange: Exchange): Verdict {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return 405;
  const { active, accepted, requests, reading, writing, waiting } = exchange.pipeline.connectionCounts;
  sendText(
    exchange,
    200,
    'text/plain',
    `Active connections: ${active} \nserver accepts handled requests\n ${accepted} ${accepted} ${requests} \n` +
      `Reading: ${reading} Writing: ${writing} Waiting: ${waiting} \n`,
  );
  return DONE;
}

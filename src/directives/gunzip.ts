// gunzip: expands compressed answers for clients that cannot.
// https://nginx.org/en/docs/http/ngx_http_gunzip_module.html

import { directives } from '../config/directive.ts';
import { bufferSize, count, flag } from '../config/values.ts';
import { gunzipAnswer } from '../serve/compress-answer.ts';
import { nginxModule } from './module.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

export const gunzip = nginxModule('http_gunzip', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_gunzip_module.html',
  nginx: 'optional',
  directives: directives({
    gunzip: {
      in: ['http', 'server', 'location', 'if'],
      args: [flag],
      default: 'off',
      doc: 'Whether answers with `Content-Encoding: gzip` are expanded for clients that do not accept it.',
    },
    gunzip_buffers: {
      in: SETTINGS,
      args: [count('number'), bufferSize('size')],
      default: '32 4k',
      doc: 'How much of an answer, expanded, may wait for a slow client: so many buffers of so many bytes.',
    },
  }),
  location(set, draft) {
    if (!set.gunzip) return;
    const { number, size } = set.gunzip_buffers;
    draft.headerFilters.push((exchange) => gunzipAnswer(exchange, number * size));
  },
});

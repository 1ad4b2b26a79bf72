// gzip_static: files that lie compressed beside the others.
// https://nginx.org/en/docs/http/ngx_http_gzip_static_module.html

import { directives } from '../config/directive.ts';
import { oneOf } from '../config/values.ts';
import { serveGzipFile } from '../serve/gzip-file.ts';
import { nginxModule } from './module.ts';

export const gzipStatic = nginxModule('http_gzip_static', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_gzip_static_module.html',
  nginx: 'optional',
  directives: directives({
    gzip_static: {
      in: ['http', 'server', 'location'],
      args: [oneOf('how', 'off', 'on', 'always')],
      default: 'off',
      doc: 'Whether `x.gz` is sent for `x`: `on` to clients that accept it, `always` to all.',
    },
  }),
  location(set, draft) {
    const how = set.gzip_static;
    if (how !== 'off') draft.content.push((exchange) => serveGzipFile(exchange, how));
  },
});

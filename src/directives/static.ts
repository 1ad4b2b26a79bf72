// The content where nothing else is said: a file under `root`; and `index`, the file of a folder.
// https://nginx.org/en/docs/http/ngx_http_index_module.html

import { directives } from '../config/directive.ts';
import { rest, template } from '../config/values.ts';
import { serveIndex } from '../serve/index-file.ts';
import { serveFile } from '../serve/static-file.ts';
import { nginxModule } from './module.ts';

export const indexPage = nginxModule('http_index', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_index_module.html',
  directives: directives({
    index: {
      in: ['http', 'server', 'location'],
      args: [rest(template('file'))],
      default: 'index.html',
      doc: 'Names of files that answer for a URI that ends in a slash; the first that exists does.',
    },
  }),
  location(set, draft) {
    const names = set.index.map((name) => draft.workshop.text(name));
    draft.content.push((exchange) => serveIndex(exchange, names));
  },
});

/** Without directives of its own: what the core says of files is in its settings. Must stand last of all that answer. */
export const staticFiles = nginxModule('http_static', {
  doc: 'Files under `root` or `alias`.',
  directives: directives({}),
  location(_, draft) {
    draft.content.push(serveFile);
  },
});

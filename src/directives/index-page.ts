// index: the file of a folder.
// https://nginx.org/en/docs/http/ngx_http_index_module.html

import type { Kind } from '../config/directive.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import { template } from '../config/values.ts';
import { serveIndex } from '../serve/index-file.ts';
import { nginxModule } from './module.ts';

const namesKind: Kind<'file', readonly Template[]> = {
  name: 'file',
  syntax: 'file ...',
  takes: 'rest',
  parse: (args, directive, warn) =>
    args.map((given, index) => {
      if (given.text === '') throw new ConfigError(`index "" in "${directive}" directive is invalid`, given.at);
      if (given.text.startsWith('/') && index < args.length - 1)
        warn?.('only the last index in "index" directive should be absolute', given.at);
      return template('file').parse([given], directive);
    }),
};

export const indexPage = nginxModule('http_index', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_index_module.html',
  directives: directives({
    index: {
      in: ['http', 'server', 'location'],
      args: [namesKind],
      many: true,
      default: 'index.html',
      doc: 'Names of files that answer for a URI that ends in a slash; the first that exists does. One that begins with a slash is a URI to go on with.',
    },
  }),
  location(set, draft) {
    const names = set.index.flat().map((name) => draft.workshop.text(name));
    draft.content.push((exchange) => serveIndex(exchange, names));
  },
});

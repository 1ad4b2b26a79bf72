// random_index: any file of a folder as its index.
// https://nginx.org/en/docs/http/ngx_http_random_index_module.html

import { directives } from '../config/directive.ts';
import { flag } from '../config/values.ts';
import { serveRandomIndex } from '../serve/random-index.ts';
import { nginxModule } from './module.ts';

export const randomIndex = nginxModule('http_random_index', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_random_index_module.html',
  nginx: 'optional',
  directives: directives({
    random_index: {
      in: ['location'],
      args: [flag],
      default: 'off',
      doc: 'Whether any file of a folder, by chance, answers for a URI that ends in a slash; it goes before `index`.',
    },
  }),
  location(set, draft) {
    if (set.random_index) draft.content.push(serveRandomIndex);
  },
});

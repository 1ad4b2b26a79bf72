// empty_gif: a transparent picture of one pixel.
// https://nginx.org/en/docs/http/ngx_http_empty_gif_module.html

import { directives } from '../config/directive.ts';
import { serveEmptyGif } from '../serve/empty-gif.ts';
import { nginxModule } from './module.ts';

export const emptyGif = nginxModule('http_empty_gif', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_empty_gif_module.html',
  nginx: 'default',
  directives: directives({
    empty_gif: {
      in: ['location'],
      args: [],
      inherit: false,
      doc: 'Answers with a transparent GIF of one pixel.',
    },
  }),
  location(set, draft) {
    if (set.empty_gif === true) draft.contentHandler = serveEmptyGif;
  },
});

// The content where nothing else is said: a file under `root` or `alias`. Must stand last of all that answer.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#root

import { directives } from '../config/directive.ts';
import { serveFile } from '../serve/static-file.ts';
import { nginxModule } from './module.ts';

/** Without directives of its own: what the core says of files is in its settings. */
export const staticFiles = nginxModule('http_static', {
  doc: 'Files under `root` or `alias`.',
  directives: directives({}),
  location(_, draft) {
    draft.content.push(serveFile);
  },
});

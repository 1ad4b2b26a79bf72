// autoindex: the list of a folder that has no index.
// https://nginx.org/en/docs/http/ngx_http_autoindex_module.html

import { directives } from '../config/directive.ts';
import { flag, oneOf } from '../config/values.ts';
import { serveListing } from '../serve/autoindex.ts';
import { nginxModule } from './module.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

export const autoindex = nginxModule('http_autoindex', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_autoindex_module.html',
  nginx: 'default',
  directives: directives({
    autoindex: {
      in: SETTINGS,
      args: [flag],
      default: 'off',
      doc: 'Whether a folder without an index is answered with a list of what is in it.',
      differs:
        'No more than 50000 entries are listed. A name that is UTF-8 is cut between characters whatever the `charset`.',
    },
    autoindex_exact_size: {
      in: SETTINGS,
      args: [flag],
      default: 'on',
      doc: 'Whether sizes in HTML are in bytes, or rounded to kilobytes, megabytes and gigabytes.',
    },
    autoindex_format: {
      in: SETTINGS,
      args: [oneOf('format', 'html', 'xml', 'json', 'jsonp')],
      default: 'html',
      doc: 'What the list is written in; for `jsonp` the argument `callback` names the function, without it it is JSON.',
    },
    autoindex_localtime: {
      in: SETTINGS,
      args: [flag],
      default: 'off',
      doc: 'Whether times in HTML are those of the local time zone, or UTC.',
    },
  }),
  location(set, draft) {
    if (!set.autoindex) return;
    const settings = {
      format: set.autoindex_format,
      exactSize: set.autoindex_exact_size,
      localTime: set.autoindex_localtime,
    };
    draft.content.push((exchange) => serveListing(exchange, settings));
  },
});

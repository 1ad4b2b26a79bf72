// gzip: understood, and told that it has no effect yet. Answers are merely longer, so it must not keep anyone out.
// https://nginx.org/en/docs/http/ngx_http_gzip_module.html

import { directives } from '../config/directive.ts';
import { bufferSize, count, flag, integer, oneOf, regex, rest, size, someOf, text } from '../config/values.ts';
import type { Level, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const tuned = { in: ['http', 'server', 'location'], effect: 'no effect', doc: 'See `gzip`.' } as const;

export const gzip = nginxModule('http_gzip', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_gzip_module.html',
  directives: directives({
    gzip: {
      in: ['http', 'server', 'location', 'if'],
      args: [flag],
      default: 'off',
      effect: 'notice',
      doc: 'Is understood, with a warning: answers are not compressed, for now.',
    },
    gzip_buffers: { ...tuned, args: [count('number'), bufferSize('size')] },
    gzip_comp_level: { ...tuned, args: [integer('level', { min: 1, max: 9 })] },
    gzip_disable: { ...tuned, args: [rest(regex('regex', { insensitive: true }))], many: true },
    gzip_http_version: { ...tuned, args: [oneOf('version', '1.0', '1.1')] },
    gzip_min_length: { ...tuned, args: [size('length')] },
    gzip_proxied: {
      ...tuned,
      args: [
        someOf(
          'answers',
          'off',
          'expired',
          'no-cache',
          'no-store',
          'private',
          'no_last_modified',
          'no_etag',
          'auth',
          'any',
        ),
      ],
    },
    gzip_types: { ...tuned, args: [rest(text('type'))], many: true },
    gzip_vary: { ...tuned, args: [flag] },
  }),
  http(set, { workshop }, level) {
    warn(set.gzip, workshop, level);
  },
  location(set, { workshop }, level) {
    if (level.has('gzip')) warn(set.gzip, workshop, level);
  },
});

function warn(on: boolean, workshop: Workshop, level: Level): void {
  if (on) workshop.warn('"gzip on" has no effect yet: answers are not compressed', level.at('gzip'));
}

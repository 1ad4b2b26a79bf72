// http2: understood, and told that it has no effect yet.
// https://nginx.org/en/docs/http/ngx_http_v2_module.html

import { directives } from '../config/directive.ts';
import { flag, integer, size, time } from '../config/values.ts';
import { nginxModule } from './module.ts';

const tuned = { effect: 'no effect' } as const;
const SERVERS = ['http', 'server'] as const;
const NO_STREAMS = 'There are no streams without HTTP/2.';
const OBSOLETE = 'nginx has given it up.';

export const http2 = nginxModule('http_v2', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_v2_module.html',
  directives: directives({
    http2: {
      in: SERVERS,
      args: [flag],
      default: 'off',
      effect: 'notice',
      doc: 'Is understood, with a warning: ALPN offers http/1.1 only, for now.',
      since: '1.25.1',
    },
    http2_body_preread_size: { ...tuned, in: SERVERS, args: [size('size')], doc: NO_STREAMS },
    http2_chunk_size: { ...tuned, in: ['http', 'server', 'location'], args: [size('size')], doc: NO_STREAMS },
    http2_max_concurrent_streams: { ...tuned, in: SERVERS, args: [integer('number')], doc: NO_STREAMS },
    http2_recv_buffer_size: { ...tuned, in: ['http'], args: [size('size')], doc: NO_STREAMS },
    http2_idle_timeout: { ...tuned, in: SERVERS, args: [time('time')], doc: OBSOLETE },
    http2_recv_timeout: { ...tuned, in: SERVERS, args: [time('time')], doc: OBSOLETE },
    http2_max_concurrent_pushes: { ...tuned, in: SERVERS, args: [integer('number')], doc: OBSOLETE },
    http2_max_field_size: { ...tuned, in: SERVERS, args: [size('size')], doc: OBSOLETE },
    http2_max_header_size: { ...tuned, in: SERVERS, args: [size('size')], doc: OBSOLETE },
    http2_max_requests: { ...tuned, in: SERVERS, args: [integer('number')], doc: OBSOLETE },
    http2_push_preload: { ...tuned, in: ['http', 'server', 'location'], args: [flag], doc: OBSOLETE },
  }),
  http(set, { workshop }, level) {
    if (set.http2) workshop.warn(NOT_YET, level.at('http2'));
  },
  server(set, { workshop }, level) {
    if (set.http2 && level.has('http2')) workshop.warn(NOT_YET, level.at('http2'));
  },
});

const NOT_YET = '"http2 on" has no effect yet: ALPN offers http/1.1 only';

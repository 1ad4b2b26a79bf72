// empty_gif: a transparent picture of one pixel, out of memory.
// https://nginx.org/en/docs/http/ngx_http_empty_gif_module.html

import type { Exchange } from '../exchange/exchange.ts';
import { DONE, type Verdict } from '../exchange/verdict.ts';
import { formatHttpDate } from '../http1/http-date.ts';
import { sendBytes } from './answer.ts';
import { checkPreconditions } from './preconditions.ts';

/** GIF89a: a screen of 1 × 1, two colours, the first transparent, one image of one pixel. */
const GIF = Buffer.concat([
  Buffer.from('GIF89a', 'latin1'),
  Buffer.from([1, 0, 1, 0, 0x80, 1, 0]),
  Buffer.from([0, 0, 0, 0xff, 0xff, 0xff]),
  Buffer.from([0x21, 0xf9, 4, 1, 0, 0, 1, 0]),
  Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0]),
  Buffer.from([2, 2, 0x4c, 1, 0]),
  Buffer.from([0x3b]),
]);

/** It is as old as that: nginx says the same. In seconds since 1970. */
const LAST_MODIFIED = 23_349_600;

/** Answers GET and HEAD, and refuses any other method. */
export function serveEmptyGif(exchange: Exchange): Verdict {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return 405;
  const { head, location, parent } = exchange;
  const validators = { lastModified: LAST_MODIFIED, etag: '' };
  const status = parent === undefined ? checkPreconditions(head.headers, validators, location.ifModifiedSince) : 200;
  if (status === 412) return status;
  exchange.answer.set('Last-Modified', formatHttpDate(LAST_MODIFIED * 1000));
  if (status === 200) exchange.answer.set('Content-Type', 'image/gif');
  sendBytes(exchange, status, GIF);
  return DONE;
}

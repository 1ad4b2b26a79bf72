// The content of gzip_static: `x.gz` in the place of `x`.
// https://nginx.org/en/docs/http/ngx_http_gzip_static_module.html

import { systemErrorCode } from '../diagnostics/system-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { acceptsGzip, varyByEncoding } from './accepts-gzip.ts';
import { FileAnswer } from './file-answer.ts';
import { filePathOf, refuseFile } from './file-path.ts';

const MISSING: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * Answers GET and HEAD with the compressed file; declines where there is none, or where the client cannot have it.
 * @param how `on`: as far as the client accepts it; `always`: to everybody
 */
export function serveGzipFile(exchange: Exchange, how: 'on' | 'always'): Verdict {
  const { method, uri, location } = exchange;
  if ((method !== 'GET' && method !== 'HEAD') || uri.endsWith('/')) return DECLINED;
  const accepted = how === 'always' || acceptsGzip(exchange);
  // That there are two forms is told to those as well who get the plain one.
  if (!accepted && !location.compression.vary) return DECLINED;
  const path = filePathOf(exchange);
  if (path === undefined) return DECLINED;
  new FileAnswer(exchange, `${path}.gz`, {
    encoding: 'gzip',
    found: () => {
      if (how === 'on') varyByEncoding(exchange);
      return accepted ? undefined : DECLINED;
    },
    missing: (call, error) => {
      if (!MISSING.has(systemErrorCode(error))) refuseFile(exchange, call, `${path}.gz`, error);
      return DECLINED;
    },
    folder: () => DECLINED,
  }).open();
  return PENDING;
}

// gzip and gunzip as header filters: they change the head, and put their filter on the body's way.

import type { Exchange } from '../exchange/exchange.ts';
import { acceptsGzip, varyByEncoding } from './accepts-gzip.ts';
import { becomeAnother } from './another-body.ts';
import { mediaType } from './media-type.ts';
import { gunzipFilter, gzipFilter, type ZlibFilter } from './zlib-filter.ts';

export interface GzipSettings {
  /** 1 to 9. */
  readonly level: number;
  /** Bytes of compressed text that may wait for a slow client. */
  readonly bufferSize: number;
  /** What is known to be shorter is not compressed. In bytes. */
  readonly minLength: number;
  /** Media types in lower case; undefined: all. */
  readonly types: ReadonlySet<string> | undefined;
}

const COMPRESSED = Symbol('the filter that compresses the answer');

/** Compresses the answer where that is worth it and the client may have it so. */
export function gzipAnswer(exchange: Exchange, settings: GzipSettings): void {
  if (!isCompressible(exchange, settings)) return;
  varyByEncoding(exchange);
  if (!acceptsGzip(exchange)) return;
  const length = exchange.contentLength;
  exchange.answer.set('Content-Encoding', 'gzip');
  becomeAnother(exchange);
  if (exchange.bodiless) return;
  const filter = gzipFilter(exchange, { ...settings, length });
  exchange.setNote(COMPRESSED, filter);
  exchange.addBodyFilter(filter);
}

/** Expands an answer that is compressed for a client that cannot. @param bufferSize bytes of it that may wait for a slow client */
export function gunzipAnswer(exchange: Exchange, bufferSize: number): void {
  if (exchange.answer.get('content-encoding')?.toLowerCase() !== 'gzip') return;
  varyByEncoding(exchange);
  if (acceptsGzip(exchange)) return;
  exchange.answer.remove('content-encoding');
  becomeAnother(exchange);
  if (!exchange.bodiless) exchange.addBodyFilter(gunzipFilter(exchange, bufferSize));
}

/** nginx's `$gzip_ratio`: how many times shorter the text became; undefined where it was not compressed. */
export function gzipRatio(exchange: Exchange): string | undefined {
  const filter = exchange.note<ZlibFilter>(COMPRESSED);
  if (filter === undefined || filter.bytesOut === 0) return undefined;
  return (Math.round((filter.bytesIn * 100) / filter.bytesOut) / 100).toFixed(2);
}

function isCompressible({ status, answer, contentLength }: Exchange, { minLength, types }: GzipSettings): boolean {
  if (status !== 200 && status !== 403 && status !== 404) return false;
  const encoding = answer.get('content-encoding');
  if (encoding !== undefined && encoding !== '') return false;
  if (contentLength >= 0 && contentLength < minLength) return false;
  return types === undefined || types.has(mediaType(answer.get('content-type') ?? ''));
}

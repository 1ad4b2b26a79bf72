// What an answer's head must not say any more once a filter makes another body of the one that it was written for.

import type { Exchange } from '../exchange/exchange.ts';

/** The body becomes another one with the same meaning: its length is not known, its parts are none, and its tag is only weakly the same. */
export function becomeAnother(exchange: Exchange): void {
  forgetLength(exchange);
  const { answer } = exchange;
  const etag = answer.get('etag');
  if (etag === undefined || /^W\/./.test(etag)) return;
  if (etag.startsWith('"')) answer.set('ETag', `W/${etag}`);
  else answer.remove('etag');
}

/** Nothing is known of where what in the body will stand. */
export function forgetLength(exchange: Exchange): void {
  exchange.contentLength = -1;
  exchange.allowRanges = false;
  exchange.answer.remove('accept-ranges');
}

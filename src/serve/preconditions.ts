// What a client's `If-…` headers make of an answer (RFC 9110 13), in nginx's order and with nginx's `if_modified_since`.

import type { Headers } from '../http1/headers.ts';
import { parseHttpDate } from '../http1/http-date.ts';

/** What is about to be sent. */
export interface Validators {
  /** In seconds since 1970. */
  readonly lastModified: number;
  /** With its quotes; '' where `etag off`. */
  readonly etag: string;
}

/** @returns 200: send it; 304: the client has it; 412: it is not what the client expects */
export function checkPreconditions(
  headers: Headers,
  validators: Validators,
  ifModifiedSince: 'off' | 'exact' | 'before',
): 200 | 304 | 412 {
  const unmodifiedSince = headers.get('if-unmodified-since');
  if (unmodifiedSince !== undefined && !(secondsOf(unmodifiedSince) >= validators.lastModified)) return 412;
  const match = headers.get('if-match');
  if (match !== undefined && !namesEtag(match, validators.etag, false)) return 412;
  return clientHasIt(headers, validators, ifModifiedSince) ? 304 : 200;
}

/** Whether a `Range` holds for this body: without `If-Range`, or where it names this very state (RFC 9110 13.1.5). */
export function rangeApplies(headers: Headers, validators: Validators): boolean {
  const ifRange = headers.get('if-range');
  if (ifRange === undefined) return true;
  if (ifRange.length >= 2 && ifRange.endsWith('"')) return validators.etag !== '' && ifRange === validators.etag;
  return secondsOf(ifRange) === validators.lastModified;
}

/** Where both headers are there, both must say so. */
function clientHasIt(headers: Headers, validators: Validators, policy: 'off' | 'exact' | 'before'): boolean {
  const modifiedSince = headers.get('if-modified-since');
  const noneMatch = headers.get('if-none-match');
  if (modifiedSince === undefined && noneMatch === undefined) return false;
  if (modifiedSince !== undefined && isModified(modifiedSince, validators.lastModified, policy)) return false;
  return noneMatch === undefined || namesEtag(noneMatch, validators.etag, true);
}

function isModified(since: string, lastModified: number, policy: 'off' | 'exact' | 'before'): boolean {
  if (policy === 'off') return true;
  const seconds = secondsOf(since);
  return policy === 'exact' ? seconds !== lastModified : !(seconds >= lastModified);
}

/** NaN where the text is no date: then every comparison fails. */
function secondsOf(text: string): number {
  const ms = parseHttpDate(text);
  return ms === undefined ? Number.NaN : Math.floor(ms / 1000);
}

/** Whether a list of entity tags has this one. Ours are strong; `weak` lets `W/"x"` stand for `"x"` (RFC 9110 8.8.3.2). */
function namesEtag(list: string, etag: string, weak: boolean): boolean {
  if (list === '*') return true;
  if (etag === '') return false;
  return list.split(',').some((item) => {
    const tag = item.trim();
    return tag === etag || (weak && tag === `W/${etag}`);
  });
}

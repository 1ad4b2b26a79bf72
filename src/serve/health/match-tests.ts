// What a peer's answer to a health check has to be: nginx's `match`, and what holds without one.
// https://nginx.org/en/docs/http/ngx_http_upstream_hc_module.html#match

import { MatchTimeout } from '../../config/bounded-regexp.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { ResponseHead } from '../../http1/response-head.ts';

/** One part of an answer that is looked at, as the error log names it. */
export type CheckAction =
  | 'checking status code'
  | 'checking header'
  | 'checking body'
  | 'checking variables'
  | 'checking data';

/** What the answer does not fulfil; undefined: it fulfils all. */
export interface Mismatch {
  readonly action: CheckAction;
  readonly text: string;
}

/** Whether a byte string is as wanted. */
export type TextTest = (text: string) => boolean;

/** One `match` block. All of its tests have to be fulfilled. Texts are byte strings. */
export interface MatchTests {
  readonly status: readonly ((status: number) => boolean)[];
  /** undefined: the field is not there; several lines of it are joined by `, `. */
  readonly headers: readonly { readonly lowerName: string; readonly test: (value: string | undefined) => boolean }[];
  readonly body: readonly TextTest[];
  /** Variables that must be neither empty nor `0`. */
  readonly required: readonly ((exchange: Exchange) => string | undefined)[];
  /** Of our own, and nginx's in `stream`: what is sent to the peer, undefined for nothing, and what it has to say. */
  readonly send: string | undefined;
  readonly expect: TextTest | undefined;
}

/** What holds without `match`. */
export const NO_TESTS: MatchTests = {
  status: [(status) => status >= 200 && status < 400],
  headers: [],
  body: [],
  required: [],
  send: undefined,
  expect: undefined,
};

/** So much of a body, of a message, or of what a peer says over TCP is looked at, in bytes: nginx's number. */
export const MOST_EXAMINED = 256 * 1024;

/** What can be said as soon as the head of an answer is there. */
export function testHead({ status, headers }: MatchTests, head: ResponseHead): Mismatch | undefined {
  if (!status.every((test) => test(head.status)))
    return { action: 'checking status code', text: `upstream sent status ${head.status}` };
  const wrong = headers.find(({ lowerName, test }) => !fits(() => test(head.headers.getJoined(lowerName))));
  if (wrong === undefined) return undefined;
  return { action: 'checking header', text: `header "${wrong.lowerName}" does not match` };
}

/** What the head fulfils, and then the body, its beginning being a byte string. */
export function testBody({ body }: MatchTests, text: string): Mismatch | undefined {
  if (body.every((test) => fits(() => test(text)))) return undefined;
  return { action: 'checking body', text: 'the body does not match' };
}

export function testVariables({ required }: MatchTests, exchange: Exchange): Mismatch | undefined {
  const fulfils = (value: string | undefined): boolean => value !== undefined && value !== '' && value !== '0';
  if (required.every((variable) => fulfils(variable(exchange)))) return undefined;
  return { action: 'checking variables', text: 'a required variable is empty or "0"' };
}

/** A match that takes too long is none. */
export function fits(test: () => boolean): boolean {
  try {
    return test();
  } catch (error) {
    if (error instanceof MatchTimeout) return false;
    throw error;
  }
}

/** What was looked at last where all was fulfilled. */
export function lastAction({ status, headers, body, required }: MatchTests): CheckAction {
  if (body.length > 0) return 'checking body';
  if (required.length > 0) return 'checking variables';
  return headers.length > 0 && status.length === 0 ? 'checking header' : 'checking status code';
}

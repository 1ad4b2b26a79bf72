// What a handler of a phase says when it has looked at an exchange.

/** The next handler, then the next phase. */
export const DECLINED = -1;
/** The handler has the exchange in hand, and will call `exchange.resume(verdict)` or answer it later. */
export const PENDING = -2;
/** In the access phase: the client may pass. With `satisfy any` no further handler is asked, and earlier refusals are forgotten. */
export const ALLOWED = -3;
/** This phase is passed: go on with the next phase (in the content phase: the answer is on its way, leave it alone). */
export const DONE = 0;

/**
 * DECLINED, PENDING, ALLOWED, DONE, or the HTTP status to answer with (nginx's own 444, 494 to 499 included): the
 * status goes through `error_page`.
 */
export type Verdict = number;

// What goes wrong with a name, by DNS's own numbers (RFC 1035 section 4.1.1) and nginx's words.

export const NO_ERROR = 0;
export const FORMAT_ERROR = 1;
export const SERVER_FAILURE = 2;
export const HOST_NOT_FOUND = 3;
/** The last code that an answer can have and be believed. */
export const REFUSED = 5;
/** Nobody answered in time: the system's ETIMEDOUT. */
export const TIMED_OUT = 110;

const REASONS: Readonly<Record<number, string>> = {
  [FORMAT_ERROR]: 'Format error',
  [SERVER_FAILURE]: 'Server failure',
  [HOST_NOT_FOUND]: 'Host not found',
  4: 'Unimplemented',
  [REFUSED]: 'Operation refused',
  [TIMED_OUT]: 'Operation timed out',
};

/** As nginx's log has it: `3: Host not found`. */
export function reasonOf(code: number): string {
  return `${code}: ${REASONS[code] ?? 'Unknown error'}`;
}

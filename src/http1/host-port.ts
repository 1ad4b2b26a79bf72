// The host and the port in a Host field or in an absolute-form target, checked as nginx checks them.

const COLON = 58;
const DOT = 46;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const HIGHEST_PORT = 65_535;

/** RFC 3986, 3.2.2: unreserved and sub-delims, but no comma: two Host fields joined by some proxy must not pass for one. */
const REGISTERED_NAME = tableOf("!$&'()*+;=-._~%");
const IP_LITERAL = tableOf("!$&'()*+,;=-._~:");

function tableOf(others: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${others}`) {
    table[character.charCodeAt(0)] = 1;
  }
  return table;
}

/** Reads one authority after the other; `host` and `port` are those of the last one that was right. */
export class HostPort {
  /** Lower case, without the port and without a trailing dot; an IP literal keeps its brackets. */
  host = '';
  /** 0 when there is none. */
  port = 0;
  /** What they were read from: most heads name the host that the last one named. */
  #read: string | undefined;

  /** Whether `authority` is a host with or without a port. */
  read(authority: string): boolean {
    if (authority === this.#read) return true;
    const end = authority.charCodeAt(0) === OPEN_BRACKET ? endOfLiteral(authority) : endOfName(authority);
    if (end < 0) return false;
    const port = portAfter(authority, end);
    if (port < 0) return false;
    const last = authority.charCodeAt(end - 1) === DOT ? end - 1 : end;
    if (last <= 0) return false;
    this.host = inLowerCase(authority.slice(0, last));
    this.port = port;
    this.#read = authority;
    return true;
  }
}

/** Nearly every host comes in lower case: then there is nothing to make. */
function inLowerCase(host: string): string {
  for (let i = 0; i < host.length; i++) {
    const code = host.charCodeAt(i);
    if (code >= 65 && code <= 90) return host.toLowerCase();
  }
  return host;
}

function endOfName(authority: string): number {
  for (let i = 0; i < authority.length; i++) {
    const code = authority.charCodeAt(i);
    if (code === COLON) return i;
    if (REGISTERED_NAME[code] !== 1) return -1;
    if (code === DOT && authority.charCodeAt(i + 1) === DOT) return -1;
  }
  return authority.length;
}

function endOfLiteral(authority: string): number {
  for (let i = 1; i < authority.length; i++) {
    const code = authority.charCodeAt(i);
    if (code === CLOSE_BRACKET) return i + 1;
    if (IP_LITERAL[code] !== 1) return -1;
    if (code === DOT && authority.charCodeAt(i + 1) === DOT) return -1;
  }
  return -1;
}

/** The port from `at` to the end, 0 when there is none, -1 when there is something else. */
function portAfter(authority: string, at: number): number {
  if (at === authority.length) return 0;
  if (authority.charCodeAt(at) !== COLON) return -1;
  let port = 0;
  for (let i = at + 1; i < authority.length; i++) {
    const digit = authority.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
    if (port > HIGHEST_PORT) return -1;
  }
  return port;
}

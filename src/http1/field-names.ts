// From the bytes of a field name to its strings, without making them anew for every request.

import { latin1 } from './latin1.ts';

/** What a field name is made of, from the plainest to what is no name at all. */
export const PLAIN = 0;
/** Letters, digits, hyphens, and at least one underscore. */
export const UNDERSCORED = 1;
/** A token (RFC 9110, 5.6.2) with other characters in it. */
export const OTHER_TOKEN = 2;
/** Not a token. */
export const NOT_TOKEN = 3;
/** With a space or a tab in it: between name and colon, or instead of the colon. */
export const SPACED = 4;

/** What a parser does with a field beyond keeping it. */
export const KEEP = 0;
export const HOST = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
export const UPGRADE = 5;
const EXPECT = 6;
/** One of nginx's `X-Accel-…`: an upstream speaks to us. */
export const X_ACCEL = 7;

export interface FieldName {
  /** As spelled. */
  readonly name: string;
  readonly lowerName: string;
  /** One of PLAIN, UNDERSCORED, … */
  readonly shape: number;
  /** One of KEEP, HOST, … */
  readonly kind: number;
  /** A bit of its own where nginx refuses a request that has the field twice, otherwise 0. */
  readonly uniqueBit: number;
  /** A bit of its own where nginx takes only the first one of an upstream's answer, otherwise 0. */
  readonly singleBit: number;
  /** Whether its value must not be shown in a log. */
  readonly secret: boolean;
  /** The spelling's bytes, to compare with. */
  readonly bytes: Uint8Array;
  /** The next well-known name in the same slot. */
  readonly next: FieldName | undefined;
}

const KINDS: ReadonlyMap<string, number> = new Map([
  ['host', HOST],
  ['content-length', CONTENT_LENGTH],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['connection', CONNECTION],
  ['upgrade', UPGRADE],
  ['expect', EXPECT],
]);

/** The bits of the first three of `UNIQUE_IN_REQUESTS`. */
export const HOST_BIT = 1;
export const CONTENT_LENGTH_BIT = 2;
export const TRANSFER_ENCODING_BIT = 4;

/** What nginx answers with 400 when a request has it twice; each has the bit of its place. */
const UNIQUE_IN_REQUESTS = [
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
  'if-modified-since',
  'if-unmodified-since',
  'if-match',
  'if-none-match',
  'if-range',
  'content-range',
  'authorization',
  'proxy-authorization',
];

/** What of an upstream's answer nginx drops with a warning when it comes again; each has the bit of its place. */
const SINGLE_IN_ANSWERS = [
  'status',
  'content-type',
  'date',
  'last-modified',
  'etag',
  'server',
  'location',
  'refresh',
  'expires',
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
];

const SECRETS = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie'];

const WELL_KNOWN = `
  Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials
  Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Expose-Headers
  Access-Control-Max-Age Access-Control-Request-Headers Access-Control-Request-Method Age Allow Alt-Svc Authorization
  Cache-Control CF-Connecting-IP CF-Ray Connection Content-Disposition Content-Encoding Content-Language Content-Length
  Content-Location Content-Range Content-Security-Policy Content-Type Cookie Cross-Origin-Opener-Policy
  Cross-Origin-Resource-Policy Date DNT ETag Expect Expires Forwarded From Host If-Match If-Modified-Since If-None-Match
  If-Range If-Unmodified-Since Keep-Alive Last-Modified Link Location Origin Permissions-Policy Pragma Priority
  Proxy-Authenticate Proxy-Authorization Proxy-Connection Purpose Range Referer Referrer-Policy Refresh Retry-After
  Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User
  Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Server
  Server-Timing Set-Cookie Strict-Transport-Security TE Timing-Allow-Origin Trailer Transfer-Encoding Upgrade
  Upgrade-Insecure-Requests User-Agent Vary Via WWW-Authenticate X-Accel-Buffering X-Content-Type-Options X-Forwarded-For
  X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Frame-Options X-Powered-By X-Real-IP X-Request-ID
  X-Requested-With X-XSS-Protection Sec-Websocket-Accept Sec-Websocket-Key Sec-Websocket-Version X-Real-Ip Etag
`;

const PLAIN_CHARACTERS = /^[-0-9A-Za-z]+$/;
const UNDERSCORED_CHARACTERS = /^[-_0-9A-Za-z]+$/;
const TOKEN_CHARACTERS = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Both tables have so many slots; a power of two. */
const SLOTS = 1024;
/** A longer spelling is not remembered: so the memory for learned names is bounded (1024 × 48 bytes of name). */
const LONGEST_LEARNED = 48;

/** The names that a client or an upstream usually sends: never forgotten. */
const wellKnown: (FieldName | undefined)[] = new Array(SLOTS).fill(undefined);
/** The last other name seen in each slot: a flood of new names costs their making, and pushes out nothing but names like them. */
const learned: (FieldName | undefined)[] = new Array(SLOTS).fill(undefined);

/** The strings for the field name that is spelled by the bytes `[from, to)`, which are not empty. */
export function fieldName(bytes: Uint8Array, from: number, to: number): FieldName {
  const slot = slotOf(bytes, from, to);
  for (let known = wellKnown[slot]; known !== undefined; known = known.next) {
    if (isSpelled(known, bytes, from, to)) return known;
  }
  const last = learned[slot];
  if (last !== undefined && isSpelled(last, bytes, from, to)) return last;
  return learn(bytes, from, to, slot);
}

function slotOf(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  const first = bytes[from] as number;
  const middle = bytes[from + (length >> 1)] as number;
  const last = bytes[to - 1] as number;
  return (length * 67 + first * 37 + middle * 11 + last * 149) & (SLOTS - 1);
}

function isSpelled(known: FieldName, bytes: Uint8Array, from: number, to: number): boolean {
  const spelling = known.bytes;
  const length = spelling.length;
  if (length !== to - from) return false;
  for (let i = 0; i < length; i++) {
    if (spelling[i] !== bytes[from + i]) return false;
  }
  return true;
}

function learn(bytes: Uint8Array, from: number, to: number, slot: number): FieldName {
  const made = describe(latin1(bytes, from, to), undefined);
  if (to - from <= LONGEST_LEARNED) learned[slot] = made;
  return made;
}

function describe(name: string, next: FieldName | undefined): FieldName {
  const lowerName = name.toLowerCase();
  return {
    name,
    lowerName,
    shape: shapeOf(name),
    kind: KINDS.get(lowerName) ?? (lowerName.startsWith('x-accel-') ? X_ACCEL : KEEP),
    uniqueBit: bitOf(lowerName, UNIQUE_IN_REQUESTS),
    singleBit: bitOf(lowerName, SINGLE_IN_ANSWERS),
    secret: SECRETS.includes(lowerName),
    bytes: Buffer.from(name, 'latin1'),
    next,
  };
}

function shapeOf(name: string): number {
  if (PLAIN_CHARACTERS.test(name)) return PLAIN;
  if (UNDERSCORED_CHARACTERS.test(name)) return UNDERSCORED;
  if (TOKEN_CHARACTERS.test(name)) return OTHER_TOKEN;
  return /[ \t]/.test(name) ? SPACED : NOT_TOKEN;
}

function bitOf(lowerName: string, names: readonly string[]): number {
  const index = names.indexOf(lowerName);
  return index < 0 ? 0 : 1 << index;
}

function rememberForGood(name: string): void {
  const bytes = Buffer.from(name, 'latin1');
  const slot = slotOf(bytes, 0, bytes.length);
  wellKnown[slot] = describe(name, wellKnown[slot]);
}

const names = WELL_KNOWN.trim().split(/\s+/);
for (const spelling of new Set([...names, ...names.map((name) => name.toLowerCase())])) rememberForGood(spelling);

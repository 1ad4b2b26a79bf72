// The opening handshake of RFC 6455, both halves: what a client must ask, and what a peer must answer.

import { hash } from 'node:crypto';
import { extensionNames, hasToken, listMembers } from './token-list.ts';

/**
 * How a header is looked up, however it is stored: by its name in lower case; several lines of one name are joined by `, `.
 * undefined where there is none.
 */
export type HeaderLookup = (lowerName: string) => string | undefined;

export interface OpeningHandshake {
  readonly method: string;
  /** 9, 10 or 11, for HTTP/0.9, HTTP/1.0 and HTTP/1.1. */
  readonly httpVersion: number;
  readonly headers: HeaderLookup;
  /** Whether a body comes: any `Transfer-Encoding`, or a `Content-Length` above 0. */
  readonly hasBody: boolean;
}

export interface AcceptedHandshake {
  readonly ok: true;
  readonly key: string;
  /** Subprotocols asked for, in the client's order. */
  readonly protocols: readonly string[];
  /** Names of the extensions offered, in the client's order. */
  readonly extensions: readonly string[];
}

export interface RefusedHandshake {
  readonly ok: false;
  readonly status: 400 | 426;
  /** One sentence for the error log. */
  readonly reason: string;
  /** To be sent with the answer. `Upgrade` among them asks for `Connection: upgrade` too (RFC 9110 section 7.8). */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface HandshakeAnswer {
  readonly status: number;
  readonly headers: HeaderLookup;
  /** The `Sec-WebSocket-Key` that the peer was sent. */
  readonly key: string;
  readonly offeredProtocols: readonly string[];
  readonly offeredExtensions: readonly string[];
}

/** What was wrong with a peer's answer, by name. */
export type AnswerFault =
  | 'status is not 101'
  | 'no upgrade header'
  | 'upgrade to something else'
  | 'connection header without upgrade'
  | 'no accept header'
  | 'accept mismatch'
  | 'subprotocol not offered'
  | 'extension not offered';

export interface AgreedAnswer {
  readonly ok: true;
  /** The subprotocol that the peer chose, undefined where it chose none. */
  readonly protocol: string | undefined;
  readonly extensions: readonly string[];
  /** permessage-deflate is in force, so that RSV1 may be set on messages. */
  readonly deflate: boolean;
}

export interface FaultyAnswer {
  readonly ok: false;
  readonly fault: AnswerFault;
}

/** The one version there is (RFC 6455 section 4.1, 9). */
const VERSION = '13';
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Base64 of 16 bytes. Two keys joined by a comma do not match, so it also says "once". */
const KEY = /^[A-Za-z0-9+/]{22}==$/;
const NO_HEADERS: RefusedHandshake['headers'] = [];

/** `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2). */
export function acceptKey(key: string): string {
  return hash('sha1', key + ACCEPT_GUID, 'base64'); // half the time of createHash()
}

/** Checks what a client asks, before anyone is dialled (RFC 6455 section 4.2.1). */
export function checkOpeningHandshake(handshake: OpeningHandshake): AcceptedHandshake | RefusedHandshake {
  const reason = faultInRequest(handshake) ?? faultInHeaders(handshake.headers);
  if (reason !== undefined) return refusal(400, reason, NO_HEADERS);
  const version = handshake.headers('sec-websocket-version');
  if (version !== VERSION) return wrongVersion(version);
  return {
    ok: true,
    key: handshake.headers('sec-websocket-key') as string,
    protocols: listMembers(handshake.headers('sec-websocket-protocol')),
    extensions: extensionNames(handshake.headers('sec-websocket-extensions')),
  };
}

function faultInRequest({ method, httpVersion, hasBody }: OpeningHandshake): string | undefined {
  if (method !== 'GET') return 'the method of a WebSocket handshake is not GET';
  if (httpVersion < 11) return 'a WebSocket handshake needs HTTP/1.1';
  if (hasBody) return 'a WebSocket handshake has a body';
  return undefined;
}

function faultInHeaders(headers: HeaderLookup): string | undefined {
  if (headers('upgrade')?.trim().toLowerCase() !== 'websocket') return 'the "Upgrade" header is not "websocket" alone';
  if (!hasToken(headers('connection'), 'upgrade')) return 'the "Connection" header does not name "upgrade"';
  const key = headers('sec-websocket-key');
  if (key === undefined) return 'there is no "Sec-WebSocket-Key" header';
  if (!KEY.test(key)) return 'the "Sec-WebSocket-Key" header is not one key of 16 bytes in base64';
  return undefined;
}

/** Tells the version that we speak (RFC 6455 section 4.4). */
function wrongVersion(version: string | undefined): RefusedHandshake {
  const reason =
    version === undefined
      ? 'there is no "Sec-WebSocket-Version" header'
      : `the "Sec-WebSocket-Version" header is not "${VERSION}"`;
  return wantsWebSocket(reason);
}

/** What a request is told where only WebSockets are served (RFC 9110 section 15.5.22). */
export function wantsWebSocket(reason: string): RefusedHandshake {
  return refusal(426, reason, [
    ['Sec-WebSocket-Version', VERSION],
    ['Upgrade', 'websocket'],
  ]);
}

function refusal(
  status: RefusedHandshake['status'],
  reason: string,
  headers: RefusedHandshake['headers'],
): RefusedHandshake {
  return { ok: false, status, reason, headers };
}

/** Checks what a peer answers, before a byte is tunnelled (RFC 6455 section 4.1, the client's list). */
export function checkHandshakeAnswer(answer: HandshakeAnswer): AgreedAnswer | FaultyAnswer {
  const { headers } = answer;
  const protocol = headers('sec-websocket-protocol');
  const extensions = extensionNames(headers('sec-websocket-extensions'));
  const fault = faultInUpgrade(answer) ?? faultInChoice(answer, protocol, extensions);
  if (fault !== undefined) return { ok: false, fault };
  return { ok: true, protocol, extensions, deflate: extensions.includes('permessage-deflate') };
}

function faultInUpgrade({ status, headers, key }: HandshakeAnswer): AnswerFault | undefined {
  if (status !== 101) return 'status is not 101';
  const upgrade = headers('upgrade');
  if (upgrade === undefined) return 'no upgrade header';
  if (upgrade.trim().toLowerCase() !== 'websocket') return 'upgrade to something else';
  if (!hasToken(headers('connection'), 'upgrade')) return 'connection header without upgrade';
  const accept = headers('sec-websocket-accept');
  if (accept === undefined) return 'no accept header';
  return accept.trim() === acceptKey(key) ? undefined : 'accept mismatch';
}

function faultInChoice(
  { offeredProtocols, offeredExtensions }: HandshakeAnswer,
  protocol: string | undefined,
  extensions: readonly string[],
): AnswerFault | undefined {
  if (protocol !== undefined && !offeredProtocols.includes(protocol)) return 'subprotocol not offered';
  if (!extensions.every((extension) => offeredExtensions.includes(extension))) return 'extension not offered';
  return undefined;
}

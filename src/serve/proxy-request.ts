// The request head that the upstream gets: nginx's proxy_set_header, and of the client's own fields those that may pass.

import type { Exchange } from '../exchange/exchange.ts';
import { isFieldValue, isToken } from '../http1/headers.ts';
import { escapeUri } from '../route/uri.ts';
import type { RequestFraming } from '../upstream/upstream-connection.ts';
import { listMembers } from '../websocket/token-list.ts';
import type { ProxySettings, ProxyTarget } from './proxy-settings.ts';

/** How the body's end is told to the peer: its length, -2 for chunks, -1 for no body at all. */
export type BodyLength = number;
export const NO_BODY = -1;
export const CHUNKED = -2;

export interface ProxyRequestHead {
  readonly text: string;
  /** As sent: it says whether the answer has a body. */
  readonly method: string;
  /** The value of `Upgrade` as sent, '' for none. */
  readonly upgrade: string;
  /** What the peer was offered with it, where that is an opening handshake that has been judged. */
  readonly handshake: PassedHandshake | undefined;
}

/** A valid opening handshake on its way to a peer. */
export interface PassedHandshake {
  /** It is passed on as one whatever the lines of the configuration say; else because they do. */
  readonly isOurs: boolean;
  /** Fields that are written for it, whatever the configuration and the client say of them: as lines, and their names in lower case. */
  readonly fields: string;
  readonly names: ReadonlySet<string>;
  /** What of the client's offers the peer may choose from; extensions by their names in lower case. */
  readonly protocols: readonly string[];
  readonly extensions: readonly string[];
}

/** What a peer is told of a client that comes from another one: how often that has happened. Only we can know. */
export const RESUME_FIELD = 'Sockgate-Resume';

/** Fields that concern one hop, or that a CGI-like peer would take for its own environment (`Proxy`: httpoxy, CVE-2016-5385). */
const NEVER_PASSED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy',
  'proxy-connection',
  RESUME_FIELD.toLowerCase(),
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const NO_NAMES: ReadonlySet<string> = new Set();

/** @returns the head, or a sentence that says why it cannot be sent */
export function proxyRequestHead(
  exchange: Exchange,
  settings: ProxySettings,
  target: ProxyTarget,
  bodyLength: BodyLength,
  handshake?: PassedHandshake,
): ProxyRequestHead | string {
  // What would end the line, or the target in it, is escaped wherever it comes from.
  const uri = escapeUri(requestUri(exchange, settings, target), 'target');
  const method = methodFor(exchange, settings);
  if (settings.method !== undefined && !isToken(method)) return `"${method}" is no method for the upstream`;
  const upgrade = handshake?.isOurs ? 'websocket' : upgradeToSend(exchange, settings);
  const httpVersion = handshake?.isOurs ? 11 : settings.httpVersion;
  const ours = handshake?.names ?? NO_NAMES;
  let text = `${method} ${uri} HTTP/1.${httpVersion === 10 ? '0' : '1'}\r\n`;
  for (const { name, lowerName, value } of settings.setHeaders) {
    if (ours.has(lowerName)) continue;
    const said = headerValue(lowerName, value(exchange), upgrade) || hostInstead(lowerName, httpVersion, target);
    if (said === '') continue;
    if (!isFieldValue(said))
      return `header "${name}" of the request to the upstream has a character that ends the line`;
    text += `${name}: ${said}\r\n`;
  }
  if (bodyLength >= 0) text += `Content-Length: ${bodyLength}\r\n`;
  else if (bodyLength === CHUNKED) text += 'Transfer-Encoding: chunked\r\n';
  if (handshake !== undefined) text += handshake.fields;
  if (settings.passRequestHeaders) text += passedFields(exchange, settings, ours);
  return { text: `${text}\r\n`, method, upgrade, handshake };
}

/**
 * The value of `Upgrade`, where the configuration sends one. Only a GET of HTTP/1.1 without a body can be upgraded: anything else is
 * passed on as the plain request that it is, and so is what is asked for the page of an error, whose status no upgrade could have.
 * `h2c` never is: behind it a client could speak to the peer past every location.
 */
export function upgradeToSend(exchange: Exchange, settings: ProxySettings): string {
  if (!mayUpgrade(exchange)) return '';
  const set = settings.setHeaders.find(({ lowerName }) => lowerName === 'upgrade');
  const value = set?.value(exchange) ?? '';
  return listMembers(value).some(isH2c) ? '' : value;
}

/** What the peer is asked with. */
export function methodFor(exchange: Exchange, { method }: ProxySettings): string {
  return method === undefined ? exchange.method : method(exchange) || exchange.method;
}

function mayUpgrade({ head, method, errorStatus }: Exchange): boolean {
  const isAsked = head.connectionUpgrade && head.upgrade !== '';
  return isAsked && head.version === 11 && method === 'GET' && !head.hasBody && errorStatus === 0;
}

/** With its version or without: `h2c/1`. */
const isH2c = (protocol: string): boolean => /^h2c(?:\/|$)/i.test(protocol);

/** `Connection: upgrade` says nothing without `Upgrade`, and some peers close the connection for it. */
function headerValue(lowerName: string, value: string, upgrade: string): string {
  if (lowerName === 'upgrade') return upgrade;
  return lowerName === 'connection' && upgrade === '' && value.toLowerCase() === 'upgrade' ? '' : value;
}

/** HTTP/1.1 has no request without `Host` (RFC 9112 3.2): an empty one is the peer's own name. */
function hostInstead(lowerName: string, httpVersion: number, target: ProxyTarget): string {
  return lowerName === 'host' && httpVersion === 11 ? target.host : '';
}

function passedFields(exchange: Exchange, settings: ProxySettings, ours: ReadonlySet<string>): string {
  const { headers } = exchange.head;
  const named = fieldsNamedByConnection(exchange);
  let text = '';
  for (let i = 0; i < headers.length; i++) {
    const lowerName = headers.lowerNameAt(i);
    if (NEVER_PASSED.has(lowerName) || named.has(lowerName) || settings.setNames.has(lowerName)) continue;
    if (ours.size > 0 && ours.has(lowerName)) continue;
    text += `${headers.nameAt(i)}: ${headers.valueAt(i)}\r\n`;
  }
  return text;
}

/** RFC 9110 7.6.1: what `Connection` names ends at this hop. Only the client's own fields: it cannot take away what we set. */
function fieldsNamedByConnection(exchange: Exchange): ReadonlySet<string> {
  const value = exchange.head.headers.getJoined('connection');
  if (value === undefined || isPlainConnection(value)) return NO_NAMES;
  return new Set(listMembers(value).map((member) => member.toLowerCase()));
}

function isPlainConnection(value: string): boolean {
  return (
    value === 'keep-alive' || value === 'close' || value === 'Upgrade' || value === 'upgrade' || value === 'Keep-Alive'
  );
}

/** nginx's ngx_http_proxy_create_request: the client's own bytes where proxy_pass has no URI, else its URI with the rest, escaped anew. */
function requestUri(exchange: Exchange, settings: ProxySettings, target: ProxyTarget): string {
  if (target.uri === undefined) {
    if (exchange.uriIsOriginal && exchange.head.target !== '') return withoutFragment(exchange.head.target);
    return withArgs(escapeUri(exchange.uri), exchange.args);
  }
  if (settings.replacedLength < 0) return target.uri;
  if (exchange.uriLeftLocation) return withArgs(escapeUri(exchange.uri), exchange.args);
  return withArgs(target.uri + escapeUri(exchange.uri.slice(settings.replacedLength)), exchange.args);
}

/** As nginx's error log shows it: `http://127.0.0.1:8080/path?args`, `http://unix:/path/to/socket:/path`. */
export function peerUrl(exchange: Exchange, settings: ProxySettings, target: ProxyTarget, address: string): string {
  const separator = address.startsWith('unix:') ? ':' : '';
  return `${settings.scheme}://${address}${separator}${requestUri(exchange, settings, target)}`;
}

function withArgs(path: string, args: string): string {
  return args === '' ? path : `${path}?${args}`;
}

/** A fragment has no place in a request (RFC 9112 3.2); a peer could read it as part of the path. */
function withoutFragment(target: string): string {
  const hash = target.indexOf('#');
  return hash < 0 ? target : target.slice(0, hash);
}

/** How a body of this length is framed. */
export function framingOf(length: number): RequestFraming {
  if (length === CHUNKED) return 'chunked';
  return length > 0 ? 'length' : 'none';
}

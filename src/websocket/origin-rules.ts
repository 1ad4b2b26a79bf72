// From which web pages an opening handshake may come (RFC 6454; RFC 6455 section 10.2): what a location says, against what a browser sends.

import type { HandshakeOrigin } from '../exchange/websocket-settings.ts';

/** One origin, or many, that may open a WebSocket. */
export type OriginRule =
  /** Whoever is asked: a page of the same host and port, and by TLS where the connection is TLS. */
  | { readonly kind: 'self' }
  /** `Origin: null`, which pages without an origin of their own send: files, frames in a sandbox. */
  | { readonly kind: 'null' }
  /** Held against the whole origin: `https://example.com:8443`. */
  | { readonly kind: 'pattern'; readonly pattern: RegExp }
  | NamedOrigin;

export interface NamedOrigin {
  readonly kind: 'name';
  /** Lower case; undefined: http or https. */
  readonly scheme: string | undefined;
  /** Lower case. */
  readonly host: string;
  /** The host itself, all names below it, or both. */
  readonly which: 'itself' | 'below' | 'both';
  /** undefined: that of the scheme. */
  readonly port: number | 'any' | undefined;
}

interface Origin {
  readonly scheme: string;
  readonly host: string;
  /** 0: the scheme has none, and none is named. */
  readonly port: number;
}

const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[^\s:/?#@[\],]+)(?::(\d{1,5}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };
const portOfScheme = (scheme: string): number => DEFAULT_PORTS[scheme] ?? 0;

/**
 * Whether a handshake may come from where it does. One without an origin comes from no web page: whoever sends it is not driven by
 * somebody else's, and could send any origin.
 * @param admitsNone whether one without an origin may
 */
export function admitsOrigin(rules: readonly OriginRule[], admitsNone: boolean, asked: HandshakeOrigin): boolean {
  if (asked.origin === undefined) return admitsNone;
  const text = asked.origin;
  const origin = readOrigin(text);
  return rules.some((rule) => {
    if (rule.kind === 'null') return text === 'null';
    if (rule.kind === 'pattern') return rule.pattern.test(text);
    if (origin === undefined) return false;
    return rule.kind === 'self' ? isOwn(origin, asked) : isNamed(rule, origin);
  });
}

/** Several origins in one field, or in several, are none. */
function readOrigin(text: string): Origin | undefined {
  const parts = ORIGIN.exec(text.toLowerCase());
  if (parts === null) return undefined;
  const [, scheme = '', host = '', port] = parts;
  return { scheme, host: host.replace(/\.$/, ''), port: port === undefined ? portOfScheme(scheme) : Number(port) };
}

function isOwn({ scheme, host, port }: Origin, asked: HandshakeOrigin): boolean {
  if (asked.secure && scheme !== 'https') return false;
  // Where TLS ends before us, only the page's own scheme says which port goes without saying.
  return host === asked.host && port === (asked.port === 0 ? portOfScheme(scheme) : asked.port);
}

function isNamed(rule: NamedOrigin, { scheme, host, port }: Origin): boolean {
  if (rule.scheme === undefined ? scheme !== 'http' && scheme !== 'https' : scheme !== rule.scheme) return false;
  if (rule.port !== 'any' && port !== (rule.port ?? portOfScheme(scheme))) return false;
  if (rule.which !== 'below' && host === rule.host) return true;
  return rule.which !== 'itself' && host.endsWith(`.${rule.host}`);
}

// proxy_ssl_…: TLS on the way to the upstream.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_verify

import { ConfigError } from '../config/errors.ts';
import type { Text } from '../exchange/exchange.ts';
import { type TlsProtocol, UpstreamTls, type UpstreamTlsSettings } from '../upstream/upstream-tls.ts';
import type { HttpDraft, Level, LocationDraft } from './draft.ts';
import { readPem } from './ssl-certificates.ts';

export interface ProxyTlsSet {
  readonly proxy_ssl_ciphers: string;
  readonly proxy_ssl_protocols: readonly TlsProtocol[];
  readonly proxy_ssl_server_name: boolean;
  readonly proxy_ssl_session_reuse: boolean;
  readonly proxy_ssl_trusted_certificate: string | undefined;
  readonly proxy_ssl_verify: boolean;
  readonly proxy_ssl_verify_depth: number;
}

/** The name as SNI and certificates know it: `$proxy_host` and `$http_host` may have a port, and brackets. */
export function tlsName(name: Text): Text {
  return (exchange) => withoutPort(name(exchange));
}

function withoutPort(name: string): string {
  if (name.startsWith('[')) return name.slice(1, Math.max(name.indexOf(']'), 1));
  const colon = name.lastIndexOf(':');
  return colon < 0 ? name : name.slice(0, colon);
}

const CONTEXTS = Symbol('TLS contexts towards upstreams');

function contextsOf({ notes }: HttpDraft): Map<string, UpstreamTls> {
  const known = (notes.get(CONTEXTS) as Map<string, UpstreamTls> | undefined) ?? new Map<string, UpstreamTls>();
  notes.set(CONTEXTS, known);
  return known;
}

/** One context for all locations with the same settings: sessions are shared, and memory. */
export function upstreamTls(set: ProxyTlsSet, draft: LocationDraft, level: Level): UpstreamTls {
  const settings = tlsSettings(set, draft, level);
  const contexts = contextsOf(draft.server.http);
  const key = JSON.stringify(settings);
  const tls = contexts.get(key) ?? makeTls(settings, draft);
  contexts.set(key, tls);
  return tls;
}

function tlsSettings(set: ProxyTlsSet, draft: LocationDraft, level: Level): UpstreamTlsSettings {
  const file = set.proxy_ssl_trusted_certificate;
  if (set.proxy_ssl_verify && file === undefined) {
    throw new ConfigError('no proxy_ssl_trusted_certificate for proxy_ssl_verify', level.at('proxy_ssl_verify'));
  }
  const trusted = file === undefined ? undefined : { file, at: level.at('proxy_ssl_trusted_certificate') };
  return {
    sendsServerName: set.proxy_ssl_server_name,
    verify: set.proxy_ssl_verify,
    verifyDepth: set.proxy_ssl_verify_depth,
    trusted: trusted === undefined ? undefined : readPem(trusted, 'certificate', draft.workshop),
    ciphers: set.proxy_ssl_ciphers,
    protocols: set.proxy_ssl_protocols,
    sessionReuse: set.proxy_ssl_session_reuse,
  };
}

function makeTls(settings: UpstreamTlsSettings, { at }: LocationDraft): UpstreamTls {
  try {
    return new UpstreamTls(settings);
  } catch (error) {
    throw new ConfigError(`proxy_ssl settings are not usable: ${(error as Error).message}`, at);
  }
}

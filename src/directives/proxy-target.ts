// The argument of proxy_pass: an upstream by its name, a server of its own, or whatever variables make of it.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass

import { type Address, AddressError, formatAddress, parseAddress } from '../addresses.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ProxyTarget, UnresolvedTarget } from '../serve/proxy-settings.ts';
import { NO_KEEPALIVE } from '../upstream/keepalive.ts';
import type { PeerSettings } from '../upstream/peer.ts';
import { sharedPeers, unsharedPeers } from '../upstream/peer-table.ts';
import { Upstream } from '../upstream/upstream.ts';
import type { HttpDraft, LocationDraft } from './draft.ts';
import { noteOf } from './note-of.ts';
import { resolvedAddress } from './resolver.ts';
import { addressesOf } from './upstream.ts';

export type Scheme = 'http' | 'https';

/** The scheme of a URL; undefined where it has none that we know. */
export function schemeOfUrl(url: string): Scheme | undefined {
  const [, secure] = /^http(s?):\/\//i.exec(url) ?? [];
  return secure === undefined ? undefined : secure === '' ? 'http' : 'https';
}

/** The scheme as it is written; undefined where a variable will tell. @throws ConfigError where it will be none */
export function schemeOf({ text: url, at, constant }: Template): Scheme | undefined {
  const scheme = schemeOfUrl(url);
  const fromVariable = constant === undefined && /^(?:[^:/]*|https?:\/?)\$/i.test(url);
  if (scheme !== undefined || fromVariable) return scheme;
  throw new ConfigError('invalid URL prefix', at, { mend: 'it must begin with "http://" or "https://"' });
}

interface ParsedUrl {
  readonly scheme: Scheme;
  readonly address: Address;
}

const STANDARD_PORTS: Readonly<Record<Scheme, number>> = { http: 80, https: 443 };

/** @throws ConfigError */
function parseUrl(url: string, at?: Position): ParsedUrl {
  const scheme = schemeOfUrl(url);
  if (scheme === undefined) throw new ConfigError(`invalid URL prefix in "${url}"`, at);
  const rest = url.slice(scheme.length + '://'.length);
  try {
    return { scheme, address: parseAddress(rest, { uriPart: true, defaultPort: STANDARD_PORTS[scheme] }) };
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new ConfigError(`${error.message} in upstream "${rest}"`, at);
  }
}

/** A URL without variables. undefined: its name is not known yet, or what it names was refused. @throws ConfigError */
export function fixedTarget(url: string, at: Position, draft: LocationDraft): ProxyTarget | undefined {
  const parsed = parseUrl(url, at);
  checkUriPart(parsed.address, at, draft);
  const upstream = upstreamOf(parsed.address, at, draft.server.http);
  if (upstream === undefined) return undefined;
  // As text of the configuration; what variables make is bytes already.
  const { address } = parsed;
  const inBytes = { ...address, host: byteString(address.host), uri: byteString(address.uri) };
  return proxyTarget(upstream, { ...parsed, address: inBytes });
}

function proxyTarget(upstream: Upstream, { address, scheme }: ParsedUrl): ProxyTarget {
  const local = address.family === 'unix';
  const isStandard = address.port === STANDARD_PORTS[scheme];
  const { uri } = address;
  return {
    upstream,
    uri: uri === '' ? undefined : uri.startsWith('?') ? `/${uri}` : uri,
    host: local ? 'localhost' : formatAddress(isStandard ? { ...address, port: 0 } : address),
    port: local ? '' : `${address.port}`,
  };
}

const NO_URI_HERE =
  '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block';

/** nginx refuses a URI where it would not know what to replace by it. */
function checkUriPart({ uri }: Address, at: Position, { pattern, overlay }: LocationDraft): void {
  if (uri === '' || (overlay === undefined && pattern?.kind !== 'regex' && pattern?.kind !== 'named')) return;
  throw new ConfigError(NO_URI_HERE, at);
}

function upstreamOf(address: Address, at: Position, http: HttpDraft): Upstream | undefined {
  const named = address.family === 'name' ? http.upstreams.get(address.host.toLowerCase()) : undefined;
  if (named === undefined) return implicitUpstream(address, at, http);
  if (address.hasPort) throw new ConfigError(`upstream "${address.host}" may not have port ${address.port}`, at);
  return named.upstream;
}

const IMPLICIT = Symbol('upstreams that proxy_pass names itself');

/** By address, with its port. */
function implicitUpstreams(http: HttpDraft): Map<string, Upstream> {
  return noteOf(http, IMPLICIT, () => new Map<string, Upstream>());
}

/** A server that proxy_pass names itself is a group of its own, the same for all locations that name it; nginx keeps no connections to it. */
function implicitUpstream(address: Address, at: Position, http: HttpDraft): Upstream | undefined {
  const { workshop } = http;
  const name = formatAddress(address).toLowerCase();
  const shared = implicitUpstreams(http);
  const known = shared.get(name);
  if (known !== undefined) return known;
  const addresses = addressesOf(address, address.hasPort ? name : address.host, at, workshop);
  if (addresses === undefined) return undefined;
  const servers = addresses.map((one) => plainPeer(one, name));
  const upstream = new Upstream({ name, servers, keepalive: NO_KEEPALIVE }, sharedPeers(workshop.zones));
  shared.set(name, upstream);
  return upstream;
}

function plainPeer(address: Address, server: string): PeerSettings {
  return {
    address: address.family === 'unix' ? { path: address.host } : { host: address.host, port: address.port },
    name: formatAddress(address),
    server,
    weight: 1,
    maxFails: 1,
    failTimeout: 10,
    maxConns: 0,
    backup: false,
    down: false,
    drain: false,
    route: '',
  };
}

/** So many addresses that variables made up are remembered for each location; with more, the oldest is forgotten. */
const MOST_MADE_UP = 256;

/** A URL with variables: known only for each exchange. A sentence says why there is no target, for the error log. */
export function madeUpTarget(
  url: Template,
  draft: LocationDraft,
): (exchange: Exchange) => ProxyTarget | UnresolvedTarget | string {
  const whole = draft.workshop.text(url);
  const upstreams = new MadeUpUpstreams(draft.server.http);
  return (exchange) => {
    const said = whole(exchange);
    try {
      const parsed = parseUrl(said);
      const upstream = upstreams.find(parsed.address);
      return upstream === undefined ? unresolvedTarget(parsed) : proxyTarget(upstream, parsed);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
  };
}

/** A name that only a resolver can know: its addresses are a group of their own for this one exchange, as in nginx. */
function unresolvedTarget(parsed: ParsedUrl): UnresolvedTarget {
  const { address } = parsed;
  return {
    name: address.host,
    targetOf: (addresses) => {
      const name = formatAddress(address).toLowerCase();
      const servers = addresses.map((host) => plainPeer(resolvedAddress(address, host), name));
      return proxyTarget(new Upstream({ name, servers, keepalive: NO_KEEPALIVE }, unsharedPeers), parsed);
    },
  };
}

/** What a made-up address may mean: an upstream of the configuration, a server that it names elsewhere, or an address alone. */
class MadeUpUpstreams {
  readonly #http: HttpDraft;
  readonly #made = new Map<string, Upstream>();

  constructor(http: HttpDraft) {
    this.#http = http;
  }

  find(address: Address): Upstream | undefined {
    const named = address.hasPort ? undefined : this.#http.upstreams.get(address.host.toLowerCase());
    if (named !== undefined) return named.upstream;
    const name = formatAddress(address).toLowerCase();
    const known = implicitUpstreams(this.#http).get(name) ?? this.#made.get(name);
    return known ?? (address.family === 'name' ? undefined : this.#make(name, address));
  }

  #make(name: string, address: Address): Upstream {
    if (this.#made.size >= MOST_MADE_UP) this.#made.delete(this.#made.keys().next().value as string);
    const servers = [plainPeer(address, name)];
    const upstream = new Upstream({ name, servers, keepalive: NO_KEEPALIVE }, unsharedPeers);
    this.#made.set(name, upstream);
    return upstream;
  }
}

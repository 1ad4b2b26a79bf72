// proxy_pass: where requests go, what of them, how long that may take, and TLS on the way.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import { type Address, AddressError, formatAddress, parseAddress } from '../addresses.ts';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { FileError } from '../config/files.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import { any, flag, integer, offset, oneOf, path, size, someOf, template, text, time, word } from '../config/values.ts';
import type { Text } from '../exchange/exchange.ts';
import { proxyPass } from '../serve/proxy.ts';
import type { ProxySettings, ProxyTarget } from '../serve/proxy-settings.ts';
import type { NextUpstreamSettings } from '../upstream/attempts.ts';
import { NO_KEEPALIVE } from '../upstream/keepalive.ts';
import { sharedPeers, unsharedPeers } from '../upstream/peer-table.ts';
import { Upstream } from '../upstream/upstream.ts';
import type { NextCondition } from '../upstream/upstream-fault.ts';
import { UpstreamTls } from '../upstream/upstream-tls.ts';
import type { LocationDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { addressesOf } from './upstream.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

const table = directives({
  proxy_pass: {
    in: ['location', 'if', 'limit_except'],
    args: [template('url')],
    inherit: false,
    doc: "Passes requests to a server or an `upstream`: `http://NAME`, `https://NAME`, `http://unix:/path:`. With a URI behind it, that replaces the part of the request's URI that the location matched.",
    differs: 'With variables, the result must be an `upstream` or an address: there is no resolver yet.',
  },
  proxy_http_version: {
    in: SETTINGS,
    args: [oneOf('version', '1.0', '1.1')],
    default: '1.1',
    doc: 'The HTTP version of requests to the upstream.',
    since: '1.29.7 (default)',
  },
  proxy_set_header: {
    in: SETTINGS,
    args: [text('field'), template('value')],
    many: true,
    doc: 'Sets a field of the request that the upstream gets; an empty value sends none. One on a level replaces all of the levels above.',
  },
  proxy_pass_request_headers: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: "Whether the client's own fields are passed on.",
  },
  proxy_pass_request_body: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: "Whether the client's body is passed on.",
  },
  proxy_hide_header: {
    in: SETTINGS,
    args: [text('field')],
    many: true,
    doc: 'A field of the answer that the client does not get, besides `Date`, `Server`, `X-Pad` and `X-Accel-…`.',
  },
  proxy_pass_header: {
    in: SETTINGS,
    args: [text('field')],
    many: true,
    doc: 'A field of those that the client gets all the same.',
  },
  proxy_pass_trailers: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: "Whether the trailer fields of the upstream's answer are passed on.",
    since: '1.27.2',
  },
  proxy_buffering: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether an answer may wait in memory, up to `proxy_buffers`, for a slow client; off: it is read only as fast as the client takes it. Tunnels are never buffered.',
    differs: 'There are no temporary files yet: what does not fit waits at the upstream.',
  },
  proxy_buffer_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '4k',
    doc: "The longest head of an upstream's answer; more is a 502.",
  },
  proxy_buffers: {
    in: SETTINGS,
    args: [integer('number', { min: 2 }), size('size')],
    default: '8 4k',
    doc: 'So much of an answer may wait in memory for one client: number times size.',
  },
  proxy_busy_buffers_size: {
    in: SETTINGS,
    args: [size('size')],
    effect: 'no effect',
    doc: 'Whatever has come is sent at once.',
  },
  proxy_max_temp_file_size: {
    in: SETTINGS,
    args: [offset('size')],
    effect: 'no effect',
    doc: 'There are no temporary files.',
  },
  proxy_temp_file_write_size: {
    in: SETTINGS,
    args: [size('size')],
    effect: 'no effect',
    doc: 'There are no temporary files.',
  },
  proxy_request_buffering: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether a body is read, up to `client_body_buffer_size`, before the upstream is asked; off: it is passed on as it comes.',
    differs: 'A larger body is passed on as it comes.',
  },
  proxy_connect_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a connection to the upstream may take to stand.',
  },
  proxy_send_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long the upstream may take nothing of the request.',
  },
  proxy_read_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long the upstream may say nothing. For a tunnel: how long neither side may.',
  },
  proxy_next_upstream: {
    in: SETTINGS,
    args: [
      someOf(
        'condition',
        'error',
        'timeout',
        'invalid_header',
        'non_idempotent',
        'http_500',
        'http_502',
        'http_503',
        'http_504',
        'http_403',
        'http_404',
        'http_429',
        'updating',
        'off',
      ),
    ],
    default: 'error timeout',
    doc: 'When a request is sent to the next server: never after a part of the answer was passed on, and a POST, LOCK or PATCH that was sent only with `non_idempotent`.',
  },
  proxy_next_upstream_tries: {
    in: SETTINGS,
    args: [integer('number')],
    default: '0',
    doc: 'The most servers that are tried; 0: no limit.',
  },
  proxy_next_upstream_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '0',
    doc: 'How long a next one may be tried; 0: no limit.',
  },
  proxy_ignore_client_abort: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether the upstream is asked to the end when the client has gone.',
  },
  proxy_intercept_errors: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether answers of 300 and above go through `error_page`.',
  },
  proxy_ssl_ciphers: {
    in: SETTINGS,
    args: [word('ciphers')],
    default: 'DEFAULT',
    doc: 'The ciphers offered to the upstream, as OpenSSL writes them.',
  },
  proxy_ssl_name: {
    in: SETTINGS,
    args: [template('name')],
    default: '$proxy_host',
    doc: "The name that the upstream's certificate must bear, and that is sent as SNI.",
  },
  proxy_ssl_protocols: {
    in: SETTINGS,
    args: [someOf('protocol', 'SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3')],
    default: 'TLSv1.2 TLSv1.3',
    doc: 'The protocols offered to the upstream. SSLv2 and SSLv3 do not exist any more.',
  },
  proxy_ssl_server_name: { in: SETTINGS, args: [flag], default: 'off', doc: 'Whether the name is sent (SNI).' },
  proxy_ssl_session_reuse: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether TLS sessions with the upstream are resumed.',
  },
  proxy_ssl_trusted_certificate: {
    in: SETTINGS,
    args: [path('file')],
    doc: "CA certificates (PEM) that the upstream's certificate is verified with.",
  },
  proxy_ssl_verify: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: "Whether the upstream's certificate is verified; without it anybody could answer in its place.",
  },
  proxy_ssl_verify_depth: {
    in: SETTINGS,
    args: [integer('number')],
    default: '1',
    doc: 'How many certificates may stand between its own and the CA.',
  },
  proxy_temp_path: {
    in: SETTINGS,
    args: [path('path'), any(integer('level'))],
    effect: 'no effect',
    doc: 'There are no temporary files.',
  },
  proxy_headers_hash_max_size: {
    in: SETTINGS,
    args: [integer('size')],
    effect: 'no effect',
    doc: 'Tables grow as they need.',
  },
  proxy_headers_hash_bucket_size: {
    in: SETTINGS,
    args: [integer('size')],
    effect: 'no effect',
    doc: 'Tables grow as they need.',
  },
});

type Set = SetOf<typeof table>;

export const proxy = nginxModule('http_proxy', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_proxy_module.html',
  directives: table,
  variables: {
    proxy_host: (exchange) => exchange.proxied?.host,
    proxy_port: (exchange) => exchange.proxied?.port,
    proxy_add_x_forwarded_for: (exchange) => {
      const said = exchange.head.headers.getJoined('x-forwarded-for');
      return said === undefined ? exchange.link.clientAddress : `${said}, ${exchange.link.clientAddress}`;
    },
  },
  location(set, draft) {
    if (set.proxy_pass === undefined || draft.pattern === undefined) return;
    const settings = proxySettings(set, set.proxy_pass, draft);
    if (settings === undefined) return;
    draft.settings.autoRedirect = draft.pattern.text.endsWith('/');
    draft.contentHandler = (exchange) => proxyPass(exchange, settings);
  },
});

function proxySettings(set: Set, url: Template, draft: LocationDraft): ProxySettings | undefined {
  const { workshop } = draft;
  const scheme = schemeOf(url);
  const target = targetOf(url, draft);
  if (target === undefined) return undefined;
  const setHeaders = headersToSet(set, workshop);
  return {
    scheme: scheme === 'https' ? 'https' : 'http',
    target,
    // A URL made of variables has the whole URI in it, or none.
    replacedLength: url.constant === undefined ? -1 : replacedLength(draft),
    httpVersion: set.proxy_http_version === '1.0' ? 10 : 11,
    setHeaders,
    setNames: new Set(setHeaders.map(({ lowerName }) => lowerName)),
    passRequestHeaders: set.proxy_pass_request_headers,
    passRequestBody: set.proxy_pass_request_body,
    hideHeaders: headersToHide(set),
    passTrailers: set.proxy_pass_trailers,
    requestBuffering: set.proxy_request_buffering,
    buffering: set.proxy_buffering,
    buffersSize: set.proxy_buffers.number * set.proxy_buffers.size,
    ignoreClientAbort: set.proxy_ignore_client_abort,
    interceptErrors: set.proxy_intercept_errors,
    next: nextUpstream(set),
    tlsName: nameWithoutPort(workshop.text(set.proxy_ssl_name)),
    connection: {
      connectTimeout: set.proxy_connect_timeout,
      sendTimeout: set.proxy_send_timeout,
      readTimeout: set.proxy_read_timeout,
      headSize: set.proxy_buffer_size,
      tls: scheme === 'http' ? undefined : upstreamTls(set, draft),
    },
  };
}

// Where to.

type Scheme = 'http' | 'https' | 'unknown';

function schemeOf({ text: url, at, constant }: Template): Scheme {
  if (/^http:\/\//i.test(url)) return 'http';
  if (/^https:\/\//i.test(url)) return 'https';
  if (constant === undefined && url.startsWith('$')) return 'unknown';
  throw new ConfigError('invalid URL prefix', at, { mend: 'it must begin with "http://" or "https://"' });
}

function targetOf(url: Template, draft: LocationDraft): ProxySettings['target'] | undefined {
  if (url.constant === undefined) return variableTarget(url, draft);
  const where = parseTarget(url.constant);
  checkUriPart(where, draft, url);
  const upstream = upstreamOf(where, draft, url);
  return upstream === undefined ? undefined : proxyTarget(upstream, where);
}

interface WrittenTarget {
  readonly scheme: 'http' | 'https';
  readonly address: Address;
}

function parseTarget(url: string): WrittenTarget {
  const scheme = /^https:/i.test(url) ? 'https' : 'http';
  const rest = url.slice(scheme.length + 3);
  try {
    return { scheme, address: parseAddress(rest, { uriPart: true, defaultPort: scheme === 'https' ? 443 : 80 }) };
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new ConfigError(`${error.message} in upstream "${rest}"`);
  }
}

function proxyTarget(upstream: Upstream, { address, scheme }: WrittenTarget): ProxyTarget {
  const standard = scheme === 'https' ? 443 : 80;
  const named =
    address.family === 'unix'
      ? 'localhost'
      : formatAddress(address.port === standard ? { ...address, port: 0 } : address);
  return {
    upstream,
    uri: address.uri === '' ? undefined : byteString(address.uri.startsWith('?') ? `/${address.uri}` : address.uri),
    host: byteString(named),
    port: `${address.port || standard}`,
  };
}

/** nginx refuses a URI where it would not know what to replace by it. */
function checkUriPart({ address }: WrittenTarget, { pattern }: LocationDraft, url: Template): void {
  if (address.uri === '' || pattern === undefined) return;
  if (pattern.kind !== 'regex' && pattern.kind !== 'named') return;
  throw new ConfigError(
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block',
    url.at,
  );
}

function upstreamOf({ address }: WrittenTarget, draft: LocationDraft, url: Template): Upstream | undefined {
  const { http } = draft.server;
  const named = address.family === 'name' ? http.upstreams.get(address.host) : undefined;
  if (named !== undefined) {
    if (address.hasPort) throw new ConfigError(`upstream "${address.host}" may not have port ${address.port}`, url.at);
    return named.upstream;
  }
  return implicitUpstream(address, draft, url);
}

/** A server that proxy_pass names itself is a group of its own, the same for all locations that name it. */
function implicitUpstream(address: Address, draft: LocationDraft, url: Template): Upstream | undefined {
  const { workshop } = draft;
  const name = formatAddress(address);
  const shared = implicitUpstreams(draft);
  const known = shared.get(name);
  if (known !== undefined) return known;
  const addresses = addressesOf(address, url.at, workshop);
  if (addresses.length === 0) return undefined;
  const upstream = new Upstream(
    { name, servers: addresses.map((one) => plainPeer(one, name)), keepalive: NO_KEEPALIVE },
    sharedPeers(workshop.zones),
  );
  shared.set(name, upstream);
  return upstream;
}

const IMPLICIT = Symbol('upstreams that proxy_pass names itself');

function implicitUpstreams(draft: LocationDraft): Map<string, Upstream> {
  const { notes } = draft.server.http;
  const known = notes.get(IMPLICIT) as Map<string, Upstream> | undefined;
  const shared = known ?? new Map<string, Upstream>();
  notes.set(IMPLICIT, shared);
  return shared;
}

function plainPeer(address: Address, server: string) {
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

/** So many addresses made by variables are remembered for each location; more, and the oldest is forgotten. */
const MOST_MADE_UP = 256;

/** The URL is known only for each exchange: an upstream's name or an address. */
function variableTarget(url: Template, draft: LocationDraft): ProxySettings['target'] {
  const { workshop } = draft;
  const { upstreams } = draft.server.http;
  const whole = workshop.text(url);
  const made = new Map<string, ProxyTarget>();
  return (exchange) => {
    const said = whole(exchange);
    const known = made.get(said);
    if (known !== undefined) return known;
    const target = resolveTarget(said, (name) => upstreams.get(name)?.upstream);
    if (typeof target === 'string') return target;
    if (made.size >= MOST_MADE_UP) made.delete(made.keys().next().value as string);
    made.set(said, target);
    return target;
  };
}

function resolveTarget(said: string, named: (name: string) => Upstream | undefined): ProxyTarget | string {
  if (!/^https?:\/\//i.test(said)) return `invalid URL prefix in "${said}"`;
  try {
    const where = parseTarget(said);
    const { address } = where;
    const upstream = address.family === 'name' ? named(address.host) : madeUpUpstream(address);
    if (upstream === undefined) return `no resolver defined to resolve ${address.host}`;
    return proxyTarget(upstream, where);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function madeUpUpstream(address: Address): Upstream {
  const name = formatAddress(address);
  return new Upstream({ name, servers: [plainPeer(address, name)], keepalive: NO_KEEPALIVE }, unsharedPeers);
}

/** So much of the URI is replaced by that of proxy_pass. */
function replacedLength({ pattern }: LocationDraft): number {
  return pattern === undefined || pattern.kind === 'regex' || pattern.kind === 'named' ? 0 : pattern.text.length;
}

// What.

/** We frame every request ourselves; a second framing from the configuration would be two requests to some peers. */
const OWN_FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

function headersToSet(set: Set, workshop: Workshop): ProxySettings['setHeaders'] {
  const given = set.proxy_set_header
    .map(({ field, value }) => ({ name: field, lowerName: field.toLowerCase(), value: workshop.text(value) }))
    .filter(({ lowerName }) => !OWN_FRAMING.has(lowerName));
  if (given.some(({ lowerName }) => lowerName === 'host')) return given;
  return [{ name: 'Host', lowerName: 'host', value: workshop.text(parseTemplate('$proxy_host', NOWHERE)) }, ...given];
}

const NOWHERE = { source: { file: '', text: '' }, line: 0, column: 0, offset: 0, length: 0 };

const HIDDEN = [
  'date',
  'server',
  'x-pad',
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-buffering',
  'x-accel-charset',
];

function headersToHide(set: Set): ReadonlySet<string> {
  const hidden = new Set(HIDDEN);
  for (const field of set.proxy_hide_header) hidden.add(field.toLowerCase());
  for (const field of set.proxy_pass_header) hidden.delete(field.toLowerCase());
  return hidden;
}

function nextUpstream(set: Set): NextUpstreamSettings {
  const off = set.proxy_next_upstream.includes('off');
  const given = set.proxy_next_upstream.filter((one): one is NextCondition => one !== 'off' && one !== 'updating');
  return {
    conditions: new Set(off ? [] : given),
    tries: set.proxy_next_upstream_tries,
    timeout: set.proxy_next_upstream_timeout,
  };
}

// TLS.

/** A certificate is for a host, whatever its port. */
function nameWithoutPort(name: Text): Text {
  return (exchange) => name(exchange).replace(/:\d+$/, '');
}

const CONTEXTS = Symbol('TLS contexts towards upstreams');

/** One context for all locations with the same settings: sessions are shared, and memory. */
function upstreamTls(set: Set, draft: LocationDraft): UpstreamTls {
  const { workshop, server } = draft;
  const trusted = set.proxy_ssl_trusted_certificate;
  if (set.proxy_ssl_verify && trusted === undefined) {
    throw new ConfigError(`no proxy_ssl_trusted_certificate for proxy_ssl_verify`, draft.at);
  }
  const settings = {
    sendsServerName: set.proxy_ssl_server_name,
    verify: set.proxy_ssl_verify,
    verifyDepth: set.proxy_ssl_verify_depth,
    trusted: trusted === undefined ? undefined : readPem(workshop.fromConfig(trusted), draft),
    ciphers: set.proxy_ssl_ciphers,
    protocols: set.proxy_ssl_protocols,
    sessionReuse: set.proxy_ssl_session_reuse,
  };
  const { notes } = server.http;
  const contexts = (notes.get(CONTEXTS) as Map<string, UpstreamTls> | undefined) ?? new Map<string, UpstreamTls>();
  notes.set(CONTEXTS, contexts);
  const key = JSON.stringify(settings);
  const tls = contexts.get(key) ?? makeTls(settings, draft);
  contexts.set(key, tls);
  return tls;
}

function makeTls(settings: ConstructorParameters<typeof UpstreamTls>[0], draft: LocationDraft): UpstreamTls {
  try {
    return new UpstreamTls(settings);
  } catch (error) {
    throw new ConfigError(`proxy_ssl settings are not usable: ${(error as Error).message}`, draft.at);
  }
}

function readPem(file: string, draft: LocationDraft): string {
  try {
    return draft.workshop.files.read(file).toString('latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot load certificate "${file}": ${error.message}`, draft.at);
  }
}

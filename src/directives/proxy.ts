// proxy_pass: where requests go, what of them, how long that may take, and TLS on the way.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import { argument, bufferSize, count, flag, integer, size, someOf, template, time } from '../config/values.ts';
import type { Handler } from '../exchange/exchange.ts';
import { proxyPass } from '../serve/proxy.ts';
import type { ProxySettings } from '../serve/proxy-settings.ts';
import type { NextUpstreamSettings } from '../upstream/attempts.ts';
import type { ConnectionSettings } from '../upstream/connection-settings.ts';
import type { NextCondition } from '../upstream/upstream-fault.ts';
import type { Level, LocationDraft, Workshop } from './draft.ts';
import { fieldName } from './field-name.ts';
import { nginxModule } from './module.ts';
import { answerChanges, checkProxyAnswers, headersToHide, proxyAnswerDirectives } from './proxy-answers.ts';
import { fromAddress, fromKind } from './proxy-bind.ts';
import { answerFolder, checkBuffers, spoolSettings } from './proxy-buffers.ts';
import { checkStore, proxyStoreDirectives, storeSettings } from './proxy-store.ts';
import { fixedTarget, madeUpTarget, type Scheme, schemeOf, schemeOfUrl } from './proxy-target.ts';
import { checkProxyTls, chosenConnection, proxyTls, proxyTlsDirectives, tlsName } from './proxy-tls.ts';
import { compileSize, sizeValue } from './size-value.ts';
import { needsFolder, temporaryFolder } from './temporary-folder.ts';
import { checkPing } from './websocket.ts';

const SETTINGS = ['http', 'server', 'location'] as const;
const httpVersion = argument('version', '1.0 | 1.1', (given) => {
  if (given === '1.0' || given === '1.1') return given;
  if (given === '2') throw new ConfigError('"proxy_http_version 2" is not supported', undefined, { mend: 'use 1.1' });
  throw new ConfigError(`invalid value "${given}"`, undefined, { mend: 'it must be "1.0" or "1.1"' });
});

const SOCKET_BUFFER = {
  in: SETTINGS,
  effect: 'no effect',
  since: '1.31.3',
  doc: 'Node cannot set the buffers of a TCP socket: they are those of the system.',
} as const;
const TABLES = { in: SETTINGS, effect: 'no effect', doc: 'Tables grow as they need.' } as const;

const table = directives({
  proxy_pass: {
    in: ['location', 'if', 'limit_except'],
    args: [template('url')],
    inherit: 'overlay',
    doc: "Passes requests to a server or an `upstream`: `http://NAME`, `https://NAME`, `http://unix:/path:`. With a URI behind it, that replaces the part of the request's URI that the location matched.",
  },
  proxy_http_version: {
    in: SETTINGS,
    args: [httpVersion],
    default: '1.1',
    doc: 'The HTTP version of requests to the upstream: 1.0 or 1.1.',
    differs: '2 is refused: peers are spoken to by HTTP/1 only.',
    since: '1.29.7 (default)',
  },
  proxy_set_header: {
    in: SETTINGS,
    args: [fieldName('field'), template('value')],
    many: true,
    doc: 'Sets a field of the request that the upstream gets; an empty value sends none. One on a level replaces all of the levels above. Default: `Host $proxy_host`.',
    differs:
      '`Content-Length` and `Transfer-Encoding` cannot be set: a request is framed by what its body is. `Upgrade: h2c` is never passed on.',
  },
  proxy_bind: {
    in: SETTINGS,
    args: fromKind,
    doc: 'The local address that upstreams are connected from, perhaps with a port; an empty value, or `off`, leaves it to the system.',
    differs: '`transparent` is refused: Node cannot set that option of a socket.',
  },
  proxy_socket_keepalive: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether TCP keepalive watches over connections to the upstream.',
  },
  proxy_socket_rcvbuf: { ...SOCKET_BUFFER, args: [size('size')] },
  proxy_socket_sndbuf: { ...SOCKET_BUFFER, args: [size('size')] },
  proxy_method: {
    in: SETTINGS,
    args: [template('method')],
    doc: "The method of requests to the upstream, instead of the client's.",
  },
  proxy_set_body: {
    in: SETTINGS,
    args: [template('value')],
    doc: "The body of requests to the upstream, instead of the client's.",
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
  proxy_buffering: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether an answer may wait for a slow client, in memory up to `proxy_buffers`, and beyond that in a temporary file; off: it is read only as fast as the client takes it. Tunnels are never buffered.',
  },
  proxy_buffer_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '4k',
    doc: "The longest head of an upstream's answer; more is a 502.",
  },
  proxy_buffers: {
    in: SETTINGS,
    args: [count('number'), bufferSize('size')],
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
    args: [size('size')],
    doc: 'So much of an answer may wait in a temporary file for a slow client, beyond `proxy_buffers`; then the upstream has to wait. 0: there is no file. Default: 1024m.',
  },
  proxy_temp_file_write_size: {
    in: SETTINGS,
    args: [size('size')],
    doc: 'So much is written to such a file at once. Default: twice the larger one of `proxy_buffer_size` and a buffer of `proxy_buffers`.',
  },
  proxy_limit_rate: {
    in: SETTINGS,
    args: [sizeValue('rate')],
    doc: 'How many bytes of an answer are read from the upstream in a second, with `proxy_buffering`; variables are allowed. 0, and by default: no limit.',
  },
  proxy_request_buffering: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether a body is read whole before the upstream is asked, in memory up to `client_body_buffer_size`, else in a temporary file; off: it is passed on as it comes.',
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
  ...proxyAnswerDirectives,
  ...proxyStoreDirectives,
  ...proxyTlsDirectives,
  proxy_temp_path: {
    in: SETTINGS,
    args: temporaryFolder,
    doc: 'The folder for answers that wait for a slow client; up to three levels of folders below it, each of so many characters. Default: `proxy_temp` of the prefix.',
  },
  proxy_headers_hash_max_size: { ...TABLES, args: [integer('size')] },
  proxy_headers_hash_bucket_size: { ...TABLES, args: [integer('size')] },
  proxy_send_lowat: { in: SETTINGS, args: [size('size')], effect: 'no effect', doc: 'It has no effect on Linux.' },
});

type Set = SetOf<typeof table>;

export const proxy = nginxModule('http_proxy', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_proxy_module.html',
  directives: table,
  variables: {
    proxy_host: ({ proxied }) => proxied?.host,
    proxy_port: ({ proxied }) => proxied?.port,
    proxy_add_x_forwarded_for: ({ head, link }) => {
      const said = head.headers.getJoined('x-forwarded-for');
      return said === undefined ? link.clientAddress : `${said}, ${link.clientAddress}`;
    },
  },
  http(set, { workshop }, level) {
    checkLevel(set, workshop, level);
  },
  location(set, draft, level) {
    checkLevel(set, draft.workshop, level);
    if (set.proxy_pass === undefined || draft.pattern === undefined) return;
    const handler = proxyHandler(set, set.proxy_pass, draft, level);
    if (handler === undefined) return;
    checkPing(draft.settings.websocket, set.proxy_read_timeout, draft.workshop, level);
    needsFolder(draft.settings.clientBodyFolder, draft.workshop);
    needsFolder(answerFolder(set, draft.workshop), draft.workshop);
    draft.settings.autoRedirect = draft.pattern.text.endsWith('/');
    draft.contentHandler = handler;
  },
});

/** What is wrong on a level whether or not anything is passed on there. */
function checkLevel(set: Set, workshop: Workshop, level: Level): void {
  checkBuffers(set, workshop, level);
  checkProxyAnswers(set, set.proxy_pass, workshop, level);
  if (level.has('proxy_bind')) workshop.problems.attempt(() => fromAddress(set.proxy_bind, workshop));
  if (level.has('proxy_set_header')) checkSetHeaders(set, workshop);
  checkProxyTls(set, workshop, level);
  checkStore(set, workshop, level);
}

function checkSetHeaders(set: Set, workshop: Workshop): void {
  for (const { field, value, at } of set.proxy_set_header) {
    // Its variables must be known, though nothing is passed on here.
    workshop.text(value);
    if (!OWN_FRAMING.has(field.toLowerCase()) || value.constant === '') continue;
    workshop.warn(`"proxy_set_header ${field}" has no effect: a request is framed by what its body is`, at);
  }
}

/** undefined where there is no upstream: that has been told. */
function proxyHandler(set: Set, url: Template, draft: LocationDraft, level: Level): Handler | undefined {
  const scheme = schemeOf(url);
  const target =
    url.constant === undefined
      ? madeUpTarget(url, draft)
      : fixedTarget(url.constant, url.at, level.has('proxy_pass') ? draft : (draft.parent ?? draft));
  if (target === undefined) return undefined;
  const settingsOf = (one: Scheme): ProxySettings => proxySettings(set, one, target, draft, level);
  if (scheme === undefined) return schemeChooser(url, settingsOf('http'), settingsOf('https'), draft);
  const settings = settingsOf(scheme);
  draft.proxied = settings;
  return (exchange) => proxyPass(exchange, settings);
}

/** The scheme, too, comes of a variable. */
function schemeChooser(
  url: Template,
  plain: ProxySettings,
  secure: ProxySettings,
  { workshop }: LocationDraft,
): Handler {
  const whole = workshop.text(url);
  return (exchange) => {
    const said = whole(exchange);
    const scheme = schemeOfUrl(said);
    if (scheme !== undefined) return proxyPass(exchange, scheme === 'https' ? secure : plain);
    exchange.log('error', `invalid URL prefix in "${said}"`);
    return 500;
  };
}

function proxySettings(
  set: Set,
  scheme: Scheme,
  target: ProxySettings['target'],
  draft: LocationDraft,
  level: Level,
): ProxySettings {
  const setHeaders = headersToSet(set, draft.workshop);
  const tls = scheme === 'http' ? undefined : proxyTls(set, draft, level);
  const store = storeSettings(set, draft.workshop);
  const connection: ConnectionSettings = {
    connectTimeout: set.proxy_connect_timeout,
    sendTimeout: set.proxy_send_timeout,
    readTimeout: set.proxy_read_timeout,
    headSize: set.proxy_buffer_size,
    socketKeepalive: set.proxy_socket_keepalive,
    tls: tls?.fixed,
  };
  return {
    scheme,
    target,
    // A URL made of variables has the whole URI in it, or none.
    replacedLength: typeof target === 'function' ? -1 : replacedLength(draft),
    httpVersion: set.proxy_http_version === '1.0' ? 10 : 11,
    method: set.proxy_method === undefined ? undefined : draft.workshop.text(set.proxy_method),
    body: set.proxy_set_body === undefined ? undefined : draft.workshop.text(set.proxy_set_body),
    ignoreHeaders: new Set((set.proxy_ignore_headers ?? []).map((field) => field.toLowerCase())),
    changes: answerChanges(set, set.proxy_pass, draft),
    from: fromAddress(set.proxy_bind, draft.workshop),
    setHeaders,
    setNames: new Set(setHeaders.map(({ lowerName }) => lowerName)),
    passRequestHeaders: set.proxy_pass_request_headers,
    passRequestBody: set.proxy_pass_request_body,
    hideHeaders: headersToHide(set),
    passTrailers: set.proxy_pass_trailers,
    requestBuffering: set.proxy_request_buffering,
    buffering: set.proxy_buffering,
    spool: spoolSettings(set, draft.workshop),
    store,
    readRate: compileSize(set.proxy_limit_rate, draft.workshop),
    forceRanges: set.proxy_force_ranges,
    buffersSize: set.proxy_buffers.number * set.proxy_buffers.size,
    ignoreClientAbort: set.proxy_ignore_client_abort || store !== undefined,
    interceptErrors: set.proxy_intercept_errors,
    next: nextUpstream(set),
    tlsName: tlsName(draft.workshop.text(set.proxy_ssl_name)),
    connection,
    chooseConnection: tls?.chosen === undefined ? undefined : chosenConnection(connection, tls.chosen),
  };
}

/** So much of the URI is replaced by that of proxy_pass. */
function replacedLength({ pattern }: LocationDraft): number {
  return pattern === undefined || pattern.kind === 'regex' || pattern.kind === 'named' ? 0 : pattern.text.length;
}

/** We frame every request ourselves; a second framing from the configuration would be two requests to some peers. */
const OWN_FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

function headersToSet(set: Set, workshop: Workshop): ProxySettings['setHeaders'] {
  const given = set.proxy_set_header
    .map(({ field, value }) => ({ name: field, lowerName: field.toLowerCase(), value: workshop.text(value) }))
    .filter(({ lowerName }) => !OWN_FRAMING.has(lowerName));
  // One `Host` only, though a file that is included may set it, too: the last.
  const host = given.findLast(({ lowerName }) => lowerName === 'host');
  const others = given.filter(({ lowerName }) => lowerName !== 'host');
  return [host ?? { name: 'Host', lowerName: 'host', value: workshop.text(PROXY_HOST) }, ...others];
}

const NOWHERE: Position = { source: { file: '', text: '' }, line: 0, column: 0, offset: 0, length: 0 };
const PROXY_HOST = parseTemplate('$proxy_host', NOWHERE);

function nextUpstream(set: Set): NextUpstreamSettings {
  const off = set.proxy_next_upstream.includes('off');
  const given = set.proxy_next_upstream.filter((one): one is NextCondition => one !== 'off' && one !== 'updating');
  return {
    conditions: new Set(off ? [] : given),
    tries: set.proxy_next_upstream_tries,
    timeout: set.proxy_next_upstream_timeout,
  };
}

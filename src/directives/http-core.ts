// The core of http: servers, names, listening, locations, files, error pages, and how long and how much a client may.
// https://nginx.org/en/docs/http/ngx_http_core_module.html

import { posix } from 'node:path';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Template } from '../config/template.ts';
import type { Block } from '../config/tree.ts';
import {
  flag,
  integer,
  mapped,
  offset,
  oneOf,
  optional,
  rest,
  seconds,
  size,
  template,
  time,
  word,
} from '../config/values.ts';
import type { ErrorPage, Exchange, LocationSettings, ServerSettings } from '../exchange/exchange.ts';
import { DEFAULT_TYPES } from '../serve/mime-types.ts';
import type { LocationDraft, Mutable, ServerDraft, Workshop } from './draft.ts';
import { listenKind, readListen } from './listen.ts';
import { locationPatternKind } from './location-pattern.ts';
import { nginxModule } from './module.ts';
import { serverNameKind } from './server-name.ts';

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;
const SETTINGS = ['http', 'server', 'location'] as const;
const SERVERS = ['http', 'server'] as const;

/** The part of `error_page` before the URI: statuses, and perhaps `=` or `=status`. */
const errorPageKind = mapped(rest(template('part')), (parts) => readErrorPage(parts));

const table = directives({
  http: { in: ['main'], args: [], block: 'http', doc: 'Everything about HTTP stands in this block.' },
  server: {
    in: ['http'],
    args: [],
    many: true,
    block: 'server',
    doc: 'One server: its names, addresses and locations.',
  },
  location: {
    in: ['server', 'location'],
    args: [locationPatternKind],
    many: true,
    block: 'location',
    doc: 'What is done with requests whose URI matches: `= uri` exactly, `^~ uri` and `uri` by the longest prefix, `~` and `~*` by the first regular expression, `@name` by name only.',
  },
  listen: {
    in: ['server'],
    args: listenKind,
    many: true,
    doc: 'An address to accept connections on: `address:port`, `port`, `unix:path`. Default: port 80 as root, else 8000.',
    differs:
      '`sndbuf`, `rcvbuf`, `fastopen`, `setfib`, `accept_filter` and `deferred` warn: Node cannot set them. `http2` warns: ALPN offers http/1.1 only, for now.',
  },
  server_name: {
    in: ['server'],
    args: [rest(serverNameKind)],
    many: true,
    doc: 'Names of the server: exact, `*.example.org`, `.example.org`, `www.*`, or `~regex`.',
  },
  root: {
    in: EVERYWHERE,
    args: [template('path')],
    default: 'html',
    doc: 'The folder of the files; the URI is put behind it.',
  },
  alias: {
    in: ['location'],
    args: [template('path')],
    inherit: false,
    doc: 'What replaces the matched part of the URI in the path of a file.',
  },
  internal: {
    in: ['location'],
    args: [],
    inherit: false,
    doc: 'Only internal redirects come here; a client gets 404.',
  },
  types: { in: SETTINGS, args: [], block: 'raw', doc: 'Media types by extension: `text/html html htm;`.' },
  default_type: {
    in: SETTINGS,
    args: [word('type')],
    default: 'text/plain',
    doc: 'The media type of files whose extension is not in `types`.',
  },
  error_page: {
    in: EVERYWHERE,
    args: [errorPageKind],
    many: true,
    doc: 'What answers instead of an error: a URI, a named location, or a URL to redirect to; `=status` changes the status, `=` takes that of the page.',
  },
  recursive_error_pages: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether an error page may itself lead to an error page.',
  },
  server_tokens: {
    in: SETTINGS,
    args: [oneOf('tokens', 'on', 'off', 'build')],
    default: 'on',
    doc: 'Whether `Server:` and our error pages name the version.',
  },
  absolute_redirect: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether redirects that we make are absolute.' },
  port_in_redirect: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether such redirects name the port.' },
  server_name_in_redirect: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether such redirects use the first `server_name` rather than what the client sent in `Host`.',
  },
  log_not_found: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether a file that is not there is a line in the error log.',
  },
  etag: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether files have an `ETag`.' },
  if_modified_since: {
    in: SETTINGS,
    args: [oneOf('how', 'off', 'exact', 'before')],
    default: 'exact',
    doc: 'How `If-Modified-Since` is compared with the time of the file.',
  },
  max_ranges: {
    in: SETTINGS,
    args: [integer('number')],
    doc: 'The most ranges that a request may ask for; 0: ranges are ignored. No limit by default.',
  },
  client_header_timeout: {
    in: SERVERS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may take for the head of a request; then 408. Also for the TLS handshake.',
  },
  client_body_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may pause within a body; then 408.',
  },
  client_max_body_size: {
    in: SETTINGS,
    args: [offset('size')],
    default: '1m',
    doc: 'The largest body of a request; more is answered with 413. 0: no limit.',
  },
  client_body_buffer_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '16k',
    doc: 'So much of a body is gathered in memory before the upstream is asked (`proxy_request_buffering on`).',
  },
  client_header_buffer_size: {
    in: SERVERS,
    args: [size('size')],
    default: '1k',
    doc: 'The buffer for the head of a request, before `large_client_header_buffers` are taken.',
  },
  large_client_header_buffers: {
    in: SERVERS,
    args: [integer('number', { min: 1 }), size('size')],
    default: '4 8k',
    doc: 'How many larger buffers a head may take. A request line that does not fit one gets 414, a header field 400.',
  },
  keepalive_timeout: {
    in: SETTINGS,
    args: [time('timeout'), optional(seconds('header'))],
    default: '75s',
    doc: 'How long an idle connection is kept; 0 closes after each answer. The second time is told to the client.',
  },
  keepalive_requests: {
    in: SETTINGS,
    args: [integer('number')],
    default: '1000',
    doc: 'The most requests on one connection.',
  },
  keepalive_time: {
    in: SETTINGS,
    args: [time('time')],
    default: '1h',
    doc: 'So long after it was accepted a connection takes no further request.',
  },
  send_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may take nothing of what is sent to it; then it is closed.',
  },
  tcp_nodelay: { in: SETTINGS, args: [flag], default: 'on', doc: 'Sends small pieces at once.' },
  lingering_close: {
    in: SETTINGS,
    args: [oneOf('how', 'on', 'off', 'always')],
    default: 'on',
    doc: 'Whether what a client still sends is read before its connection is closed, so that the answer is not lost.',
  },
  lingering_time: { in: SETTINGS, args: [time('time')], default: '30s', doc: 'How long at most it is read.' },
  lingering_timeout: { in: SETTINGS, args: [time('time')], default: '5s', doc: 'How long is waited for more of it.' },
  reset_timedout_connection: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'A client that timed out is closed by a reset.',
  },
  ignore_invalid_headers: {
    in: SERVERS,
    args: [flag],
    default: 'on',
    doc: 'Header fields with names that are none are dropped; off: 400.',
  },
  underscores_in_headers: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: 'Whether `_` may stand in the name of a header field.',
  },
  merge_slashes: {
    in: SERVERS,
    args: [flag],
    default: 'on',
    doc: 'Several slashes in a row count as one when a location is looked for.',
  },
});

type Set = SetOf<typeof table>;

export const httpCore = nginxModule('http_core', {
  directives: table,
  doc: 'https://nginx.org/en/docs/http/ngx_http_core_module.html',
  server(set, draft, level) {
    for (const listen of set.listen) draft.listens.push(...readListen(listen, draft.workshop));
    draft.names = set.server_name.flat();
    for (const { pattern } of draft.names) if (pattern !== undefined) defineCaptures(draft.workshop, pattern);
    Object.assign(draft.settings, serverSettings(set, draft));
    if (level.has('listen')) return;
    draft.listens.push(...readListen(undefined, draft.workshop));
  },
  location(set, draft) {
    Object.assign(draft.settings, locationSettings(set, draft));
    if (draft.pattern?.regexp !== undefined) defineCaptures(draft.workshop, draft.pattern.regexp);
  },
});

function serverSettings(set: Set, draft: ServerDraft): Partial<Mutable<ServerSettings>> {
  const first = draft.names[0];
  const { number, size: bufferSize } = set.large_client_header_buffers;
  return {
    name: first === undefined ? '' : first.pattern === undefined ? first.text.replace(/^\./, '') : `~${first.text}`,
    clientHeaderTimeout: set.client_header_timeout,
    clientHeaderBufferSize: set.client_header_buffer_size,
    largeClientHeaderBuffers: { number, size: bufferSize },
    ignoreInvalidHeaders: set.ignore_invalid_headers,
    underscoresInHeaders: set.underscores_in_headers,
    mergeSlashes: set.merge_slashes,
  };
}

function locationSettings(set: Set, draft: LocationDraft): Partial<Mutable<LocationSettings>> {
  return {
    ...placeOfFiles(set, draft),
    internal: set.internal ?? false,
    types: typesOf(set.types?.block),
    defaultType: byteString(set.default_type),
    errorPages: set.error_page.map((page) => compileErrorPage(page, draft.workshop)),
    recursiveErrorPages: set.recursive_error_pages,
    serverTokens: set.server_tokens,
    absoluteRedirect: set.absolute_redirect,
    portInRedirect: set.port_in_redirect,
    serverNameInRedirect: set.server_name_in_redirect,
    logNotFound: set.log_not_found,
    etag: set.etag,
    ifModifiedSince: set.if_modified_since,
    maxRanges: set.max_ranges ?? Number.POSITIVE_INFINITY,
    ...timesAndSizes(set),
  };
}

function timesAndSizes(set: Set): Partial<Mutable<LocationSettings>> {
  return {
    clientBodyTimeout: set.client_body_timeout,
    clientMaxBodySize: set.client_max_body_size,
    clientBodyBufferSize: set.client_body_buffer_size,
    keepaliveTimeout: set.keepalive_timeout.timeout,
    keepaliveHeader: Math.floor((set.keepalive_timeout.header ?? 0) / 1000),
    keepaliveRequests: set.keepalive_requests,
    keepaliveTime: set.keepalive_time,
    sendTimeout: set.send_timeout,
    tcpNodelay: set.tcp_nodelay,
    lingeringClose: set.lingering_close,
    lingeringTime: set.lingering_time,
    lingeringTimeout: set.lingering_timeout,
    resetTimedoutConnection: set.reset_timedout_connection,
  };
}

// Where files are.

function placeOfFiles(set: Set, draft: LocationDraft): Partial<Mutable<LocationSettings>> {
  const { workshop } = draft;
  const root = absolutePath(set.root, workshop);
  if (set.alias === undefined) return { documentRoot: root, filePath: (exchange, uri) => root(exchange) + uri };
  const alias = absolutePath(set.alias, workshop);
  const { pattern } = draft;
  if (pattern?.kind === 'regex') return { documentRoot: alias, filePath: alias };
  const skip = pattern === undefined ? 0 : byteString(pattern.text).length;
  return { documentRoot: alias, filePath: (exchange, uri) => alias(exchange) + uri.slice(skip) };
}

/** A path of the configuration: relative to the prefix. With variables it is known only for each exchange. */
function absolutePath(written: Template, workshop: Workshop): (exchange: Exchange) => string {
  const text = workshop.text(written);
  const { constant } = written;
  if (constant !== undefined) {
    // `..` in a path of the configuration is its author's; in what comes of a URI it is refused.
    const fixed = byteString(posix.normalize(workshop.fromPrefix(constant)));
    return () => fixed;
  }
  const prefix = byteString(workshop.fromPrefix(''));
  return (exchange) => {
    const value = text(exchange);
    return value.startsWith('/') ? value : prefix + value;
  };
}

/** One map for each block, however many locations inherit it. */
const typeMaps = new WeakMap<Block, ReadonlyMap<string, string>>();

function typesOf(block: Block | undefined): ReadonlyMap<string, string> {
  if (block === undefined) return DEFAULT_TYPES;
  const known = typeMaps.get(block);
  if (known !== undefined) return known;
  const types = new Map<string, string>();
  for (const line of block.directives) {
    for (const extension of line.args) types.set(byteString(extension.text).toLowerCase(), byteString(line.name));
  }
  typeMaps.set(block, types);
  return types;
}

// Error pages.

interface WrittenErrorPage {
  readonly statuses: readonly number[];
  readonly overwrite: number | undefined;
  readonly target: Template;
}

function readErrorPage(parts: readonly Template[]): WrittenErrorPage {
  const target = parts.at(-1) as Template;
  const written = parts.slice(0, -1);
  if (written.length === 0) throw new ConfigError('invalid number of arguments in "error_page" directive', target.at);
  const equals = written.at(-1) as Template;
  const changes = equals.text.startsWith('=');
  if (changes && written.length === 1) throw new ConfigError(`invalid value "${equals.text}"`, equals.at);
  const statuses = (changes ? written.slice(0, -1) : written).map(readErrorStatus);
  return { statuses, overwrite: changes ? readOverwrite(equals) : undefined, target };
}

function readErrorStatus({ text, at }: Template): number {
  if (!/^\d+$/.test(text)) throw new ConfigError(`invalid value "${text}"`, at);
  const status = Number(text);
  if (status === 499) throw new ConfigError(`value "${text}" must be between 300 and 599`, at);
  if (status < 300 || status > 599) throw new ConfigError(`value "${text}" must be between 300 and 599`, at);
  return status;
}

function readOverwrite({ text, at }: Template): number {
  if (text === '=') return 0;
  if (!/^=\d+$/.test(text)) throw new ConfigError(`invalid value "${text}"`, at);
  return Number(text.slice(1));
}

function compileErrorPage(page: WrittenErrorPage, workshop: Workshop): ErrorPage {
  return { statuses: page.statuses, overwrite: page.overwrite, target: workshop.text(page.target) };
}

/** The named groups of a regular expression are variables. */
export function defineCaptures(workshop: Workshop, regexp: RegExp): void {
  for (const name of groupNames(regexp)) {
    workshop.variables.define(name, (exchange) => exchange.namedCaptures?.[name], { changeable: true });
  }
}

function groupNames(regexp: RegExp): readonly string[] {
  return Object.keys(new RegExp(`${regexp.source}|`, regexp.flags).exec('')?.groups ?? {});
}

// The variables of the http core: $host, $uri, $args, $http_NAME, $cookie_NAME and their like. Values are byte strings;
// undefined is nginx's "not found", which the access log shows as `-`.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#variables

import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { binaryAddress } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import { parseSize } from '../config/quantities.ts';
import { lowerCase } from '../config/source.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Headers } from '../http1/headers.ts';
import { ProxyTlvError, proxyTlv } from '../http1/proxy-header.ts';
import { basicCredentials } from '../serve/passwords/basic-credentials.ts';
import { VERSION } from '../version.ts';
import { clock } from './clock.ts';
import { requestCookie } from './cookies.ts';
import { nginxModule, type VariableGetter, type VariableSetter } from './module.ts';

type Variables = Readonly<Record<string, VariableGetter>>;

const ofConnection: Variables = {
  remote_addr: ({ link }) => link.clientAddress,
  remote_port: ({ link }) => portText(link.clientPort),
  binary_remote_addr: ({ link }) => binaryAddress(link.clientAddress),
  server_addr: ({ link }) => link.ends.serverAddress,
  server_port: ({ link }) => portText(link.ends.serverPort),
  connection: ({ link }) => `${link.id}`,
  connection_requests: ({ link }) => `${link.requests}`,
  connection_time: ({ link }) => inSeconds(Date.now() - link.acceptedAt),
  scheme: (exchange) => (isSecure(exchange) ? 'https' : 'http'),
  https: (exchange) => (isSecure(exchange) ? 'on' : ''),
  pipe: ({ link }) => (link.pipelined ? 'p' : '.'),
};

/** What the proxy before us has said. */
const ofProxyHeader: Variables = {
  proxy_protocol_addr: ({ link }) => link.ends.proxyHeader?.sourceAddress,
  proxy_protocol_port: ({ link }) =>
    link.ends.proxyHeader === undefined ? undefined : portText(link.ends.proxyHeader.sourcePort),
  proxy_protocol_server_addr: ({ link }) => link.ends.proxyHeader?.destinationAddress,
  proxy_protocol_server_port: ({ link }) =>
    link.ends.proxyHeader === undefined ? undefined : portText(link.ends.proxyHeader.destinationPort),
  'proxy_protocol_tlv_*': (exchange, name) => tlv(exchange, name),
};

const ofRequest: Variables = {
  request: ({ head }) => head.requestLine,
  request_method: (exchange) => present((exchange.parent ?? exchange).method),
  request_uri: ({ head }) => present(head.target),
  request_id: (exchange) => requestId(exchange),
  server_protocol: ({ head }) => (head.version < 10 ? undefined : head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1'),
  uri: uriOf,
  document_uri: uriOf,
  args: argsOf,
  query_string: argsOf,
  is_args: ({ args }) => (args === '' ? '' : '?'),
  'arg_*': ({ args }, name) => argument(args, name),
  host: ({ head, server }) => (head.host === '' ? server.name : head.host),
  request_port: ({ head }) => portText(head.port),
  is_request_port: ({ head }) => (head.port === 0 ? '' : ':'),
  server_name: ({ server }) => server.name,
  'http_*': ({ head }, name) => field(head.headers, name),
  'cookie_*': ({ head }, name) => requestCookie(head.headers, name),
  content_length: ({ head, requestBody, bodyBytesReceived }) => {
    if (head.contentLength >= 0) return `${head.contentLength}`;
    // Of a chunked body it is known once all of it has come.
    return head.chunked && requestBody !== undefined ? `${bodyBytesReceived}` : undefined;
  },
  content_type: ({ head }) => head.headers.getJoined('content-type'),
  request_body: ({ requestBody }) => {
    if (requestBody === undefined || requestBody.file !== undefined) return undefined;
    return Buffer.concat(requestBody.pieces).toString('latin1');
  },
  request_length: ({ head, bodyBytesReceived, framingBytesReceived }) =>
    `${head.headLength + bodyBytesReceived + framingBytesReceived}`,
  // Of a tunnel it is the time of its handshake, whenever it is asked for.
  request_time: ({ startedAt, tunnel }) =>
    inSeconds((tunnel === undefined ? Date.now() : tunnel.startedAt) - startedAt),
  remote_user: ({ head }) => basicCredentials(head.headers.get('authorization'))?.user,
};

const ofAnswer: Variables = {
  status: ({ statusToLog }) => `${statusToLog}`.padStart(3, '0'),
  limit_rate: ({ limitRate }) => `${Math.max(0, limitRate)}`,
  bytes_sent: ({ bytesSent }) => `${bytesSent}`,
  body_bytes_sent: ({ bodyBytesSent }) => `${bodyBytesSent}`,
  'sent_http_*': (exchange, name) => sentField(exchange, name),
  'sent_trailer_*': ({ trailers }, name) => (trailers === undefined ? undefined : field(trailers, name)),
  request_completion: ({ finished, aborted, tunnel }) =>
    (finished || (tunnel !== undefined && tunnel.endedBy !== 'gateway')) && !aborted ? 'OK' : '',
};

const ofFiles: Variables = {
  document_root: (exchange) => exchange.location.documentRoot(exchange),
  realpath_root: (exchange) => realRoot(exchange),
  request_filename: (exchange) => exchange.location.filePath(exchange, exchange.uri),
};

const ofTheTime: Variables = {
  msec: () => inSeconds(Date.now()),
  time_iso8601: () => clock().iso,
  time_local: () => clock().local,
};

const ofOurselves: Variables = {
  hostname: () => hostname(),
  nginx_version: () => VERSION,
  pid: () => `${process.pid}`,
};

/** Nobody has anything to say here: Node does not tell what the kernel knows of a connection. */
const withoutValue: Variables = {
  request_body_file: ({ requestBody }) => requestBody?.file?.path,
  tcpinfo_rtt: () => undefined,
  tcpinfo_rttvar: () => undefined,
  tcpinfo_snd_cwnd: () => undefined,
  tcpinfo_rcv_space: () => undefined,
};

const settable: Readonly<Record<string, VariableSetter>> = {
  args: (exchange, value) => {
    exchange.args = value;
    exchange.argsTaken = true;
    exchange.uriIsOriginal = false;
  },
  limit_rate: (exchange, value) => {
    const rate = parseSize(value, 'km');
    if (rate === undefined) exchange.log('error', `invalid $limit_rate "${value}"`);
    else exchange.limitRate = rate;
  },
};

/** Of a target that is no URI, nothing is left; where no request line was understood, there is no value. */
function uriOf({ uri, head }: Exchange): string | undefined {
  return head.version === 0 ? present(uri) : uri;
}

function argsOf({ args, argsTaken }: Exchange): string | undefined {
  return argsTaken ? args : present(args);
}

export const httpVariables = nginxModule('http_variables', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_core_module.html#variables',
  directives: directives({}),
  variables: {
    ...ofConnection,
    ...ofProxyHeader,
    ...ofRequest,
    ...ofAnswer,
    ...ofFiles,
    ...ofTheTime,
    ...ofOurselves,
    ...withoutValue,
  },
  settable,
});

function isSecure(exchange: Exchange): boolean {
  return exchange.link.ends.tls !== undefined;
}

/** What nginx has no value for as long as it is empty: a method that was never read, arguments that are not there. */
function present(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function portText(port: number): string {
  return port === 0 ? '' : `${port}`;
}

function tlv(exchange: Exchange, name: string): string | undefined {
  const { proxyHeader } = exchange.link.ends;
  if (proxyHeader === undefined) return undefined;
  try {
    return proxyTlv(proxyHeader, name);
  } catch (error) {
    if (!(error instanceof ProxyTlvError)) throw error;
    exchange.log('error', error.message);
    return undefined;
  }
}

function inSeconds(ms: number): string {
  return (Math.max(ms, 0) / 1000).toFixed(3);
}

/** `$http_user_agent`: all fields of that name, joined. In the name of the variable `_` stands for `-`, and for itself. */
function field(headers: Headers, name: string): string | undefined {
  if (name === 'cookie') return cookieFields(headers);
  if (!name.includes('_')) return headers.getJoined(name);
  return headers.getJoined(name.replaceAll('_', '-')) ?? fieldWithUnderscore(headers, name);
}

/** `underscores_in_headers on` lets them pass. */
function fieldWithUnderscore(headers: Headers, name: string): string | undefined {
  for (let i = 0; i < headers.length; i++) {
    const lowerName = headers.lowerNameAt(i);
    if (lowerName.replaceAll('-', '_') === name) return headers.getJoined(lowerName);
  }
  return undefined;
}

function cookieFields(headers: Headers): string | undefined {
  const fields: string[] = [];
  for (let i = 0; i < headers.length; i++) if (headers.lowerNameAt(i) === 'cookie') fields.push(headers.valueAt(i));
  return fields.length === 0 ? undefined : fields.join('; ');
}

/** The first argument of that name, as sent; nginx knows no difference between upper and lower case here. */
function argument(args: string, name: string): string | undefined {
  if (args === '' || name === '') return undefined;
  for (const pair of args.split('&')) {
    const equals = pair.indexOf('=');
    if (equals === name.length && lowerCase(pair.slice(0, equals)) === name) return pair.slice(equals + 1);
  }
  return undefined;
}

const REQUEST_ID = Symbol('request id');
const REQUEST_ID_BYTES = 16;

/** One for each request, made when it is first asked for. */
function requestId(exchange: Exchange): string {
  const known = exchange.note<string>(REQUEST_ID);
  if (known !== undefined) return known;
  const made = randomBytes(REQUEST_ID_BYTES).toString('hex');
  exchange.setNote(REQUEST_ID, made);
  return made;
}

function sentField(exchange: Exchange, name: string): string | undefined {
  switch (name) {
    case 'content_length':
      return exchange.contentLength < 0 ? undefined : `${exchange.contentLength}`;
    case 'connection':
      return exchange.status === 101 ? 'upgrade' : exchange.link.keepAlive ? 'keep-alive' : 'close';
    case 'keep_alive':
      return toldKeepAlive(exchange);
    case 'transfer_encoding':
      return exchange.framing === 'chunked' ? 'chunked' : undefined;
    default:
      return field(exchange.answer, name);
  }
}

function toldKeepAlive({ link, location }: Exchange): string | undefined {
  return link.keepAlive && location.keepaliveHeader > 0 ? `timeout=${location.keepaliveHeader}` : undefined;
}

/** The document root with its symbolic links followed. */
function realRoot(exchange: Exchange): string | undefined {
  const root = exchange.location.documentRoot(exchange);
  try {
    return realpathSync(Buffer.from(root, 'latin1'), 'latin1');
  } catch (error) {
    exchange.log('crit', `realpath() "${root}" failed (${systemErrorText(systemErrorCode(error))})`);
    return undefined;
  }
}

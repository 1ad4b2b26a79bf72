// The variables of the http core: $host, $uri, $args, $http_NAME, $cookie_NAME and their like. Values are byte strings.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#variables

import { hostname } from 'node:os';
import { binaryAddress } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { VERSION } from '../version.ts';
import { nginxModule, type VariableGetter } from './module.ts';

const variables: Readonly<Record<string, VariableGetter>> = {
  // The connection.
  remote_addr: (exchange) => exchange.link.clientAddress,
  remote_port: (exchange) => (exchange.link.clientPort === 0 ? '' : `${exchange.link.clientPort}`),
  binary_remote_addr: (exchange) => binaryAddress(exchange.link.clientAddress),
  server_addr: (exchange) => exchange.link.serverAddress,
  server_port: (exchange) => (exchange.link.serverPort === 0 ? '' : `${exchange.link.serverPort}`),
  connection: (exchange) => `${exchange.link.id}`,
  connection_requests: (exchange) => `${exchange.link.requests}`,
  connection_time: (exchange) => inSeconds(Date.now() - exchange.link.acceptedAt),
  scheme: (exchange) => (isSecure(exchange) ? 'https' : 'http'),
  https: (exchange) => (isSecure(exchange) ? 'on' : ''),

  // The request.
  request: ({ head }) => head.requestLine,
  request_method: ({ method }) => method,
  request_uri: ({ head }) => head.target,
  server_protocol: ({ head }) => `HTTP/${head.version === 9 ? '0.9' : head.version === 10 ? '1.0' : '1.1'}`,
  uri: ({ uri }) => uri,
  document_uri: ({ uri }) => uri,
  args: ({ args }) => args,
  query_string: ({ args }) => args,
  is_args: ({ args }) => (args === '' ? '' : '?'),
  'arg_*': ({ args }, name) => argument(args, name),
  host: (exchange) => (exchange.head.host === '' ? exchange.server.name : exchange.head.host),
  hostname: () => hostname(),
  server_name: ({ server }) => server.name,
  'http_*': ({ head }, name) => fieldOf(head.headers, name),
  'cookie_*': ({ head }, name) => cookie(head.headers.getJoined('cookie'), name),
  content_length: ({ head }) => (head.contentLength < 0 ? undefined : `${head.contentLength}`),
  content_type: ({ head }) => head.headers.get('content-type'),
  request_length: ({ head, bodyBytesReceived }) => `${head.headLength + bodyBytesReceived}`,
  request_time: (exchange) => inSeconds(Date.now() - exchange.startedAt),
  remote_user: ({ head }) => basicUser(head.headers.get('authorization')),

  // The answer.
  status: ({ statusToLog }) => `${statusToLog}`.padStart(3, '0'),
  bytes_sent: ({ bytesSent }) => `${bytesSent}`,
  body_bytes_sent: ({ bodyBytesSent }) => `${bodyBytesSent}`,
  'sent_http_*': (exchange, name) => sentField(exchange, name),
  'sent_trailer_*': ({ trailers }, name) => trailers?.getJoined(name.replaceAll('_', '-')),
  request_completion: ({ finished, aborted }) => (finished && !aborted ? 'OK' : ''),
  pipe: ({ link }) => (link.pipelined ? 'p' : '.'),

  // Files.
  document_root: (exchange) => exchange.location.documentRoot(exchange),
  request_filename: (exchange) => exchange.location.filePath(exchange, exchange.uri),

  // The time, and ourselves.
  msec: () => inSeconds(Date.now()),
  time_iso8601: () => clock().iso,
  time_local: () => clock().local,
  nginx_version: () => VERSION,
  pid: () => `${process.pid}`,
};

/** Variables of tunnels: who ended one, and why. */
const tunnelVariables: Readonly<Record<string, VariableGetter>> = {
  websocket_close_by: ({ tunnel }) => tunnel?.endedBy,
  websocket_close_cause: ({ tunnel }) => tunnel?.endCause,
};

export const httpVariables = nginxModule('http_variables', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_core_module.html#variables',
  directives: directives({}),
  variables: { ...variables, ...tunnelVariables },
});

function isSecure(exchange: Exchange): boolean {
  return exchange.link.channel.tls !== undefined;
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** `$http_user_agent`: several fields of one name are joined, cookies by "; ". */
function fieldOf(headers: Exchange['head']['headers'], name: string): string | undefined {
  const field = name.replaceAll('_', '-');
  return field === 'cookie' ? cookieFields(headers) : headers.getJoined(field);
}

function cookieFields(headers: Exchange['head']['headers']): string | undefined {
  const fields: string[] = [];
  for (let i = 0; i < headers.length; i++) if (headers.lowerNameAt(i) === 'cookie') fields.push(headers.valueAt(i));
  return fields.length === 0 ? undefined : fields.join('; ');
}

/** The first argument of that name, as sent; nginx knows no difference between upper and lower case here. */
function argument(args: string, name: string): string | undefined {
  if (args === '') return undefined;
  for (const pair of args.split('&')) {
    const equals = pair.indexOf('=');
    if (equals === name.length && pair.slice(0, equals).toLowerCase() === name) return pair.slice(equals + 1);
  }
  return undefined;
}

function cookie(fields: string | undefined, name: string): string | undefined {
  if (fields === undefined) return undefined;
  for (const pair of fields.split(/[;,]/)) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim().toLowerCase() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

function basicUser(authorization: string | undefined): string | undefined {
  const encoded = authorization?.match(/^basic +([A-Za-z0-9+/=]+)$/i)?.[1];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, 'base64').toString('latin1');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : decoded.slice(0, colon);
}

function sentField(exchange: Exchange, name: string): string | undefined {
  switch (name) {
    case 'content_length':
      return exchange.contentLength < 0 ? undefined : `${exchange.contentLength}`;
    case 'connection':
      return exchange.status === 101 ? 'upgrade' : exchange.link.keepAlive ? 'keep-alive' : 'close';
    case 'transfer_encoding':
      return exchange.framing === 'chunked' ? 'chunked' : undefined;
    default:
      return exchange.answer.getJoined(name.replaceAll('_', '-'));
  }
}

// The clock: the text of a second is made once.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let second = -1;
let texts = { iso: '', local: '' };

function clock(): { iso: string; local: string } {
  const now = Math.floor(Date.now() / 1000);
  if (now === second) return texts;
  second = now;
  texts = clockTexts(new Date(now * 1000));
  return texts;
}

function clockTexts(date: Date): { iso: string; local: string } {
  const two = (value: number): string => `${value}`.padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const hours = two(Math.floor(Math.abs(offset) / 60));
  const minutes = two(Math.abs(offset) % 60);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = two(date.getDate());
  return {
    iso: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${day}T${time}${sign}${hours}:${minutes}`,
    local: `${day}/${MONTHS[date.getMonth()]}/${date.getFullYear()}:${time} ${sign}${hours}${minutes}`,
  };
}

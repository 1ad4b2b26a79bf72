// The arguments of `listen`, and the listening sockets that it stands for.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#listen

import { isIPv6 } from 'node:net';
import { type Address, formatAddress } from '../addresses.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseTime } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import { address, alone, argument, integer, parameters, size, word } from '../config/values.ts';
import type { ListenAddress, SocketOptions } from '../listen/listen-settings.ts';
import type { DraftListen, Workshop } from './draft.ts';

/** nginx's NGX_LISTEN_BACKLOG on Linux. */
const DEFAULT_BACKLOG = 511;

const keepaliveKind = argument('so_keepalive', 'on | off | [idle]:[interval]:[count]', (text) => readKeepalive(text));

const ipv6onlyKind = argument('flag', 'on | off', (text) => {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new ConfigError('neither on nor off');
});

const options = parameters(
  'options',
  {
    default_server: alone,
    default: alone,
    ssl: alone,
    http2: alone,
    quic: alone,
    proxy_protocol: alone,
    bind: alone,
    deferred: alone,
    reuseport: alone,
    multipath: alone,
    backlog: integer('number', { min: 1 }),
    rcvbuf: size('size'),
    sndbuf: size('size'),
    setfib: integer('number'),
    fastopen: integer('number'),
    accept_filter: word('filter'),
    ipv6only: ipv6onlyKind,
    so_keepalive: keepaliveKind,
  },
  { invalid: (key, value) => WRONG_OPTION[key]?.(value) ?? `invalid ${key} "${key}=${value}"` },
);

/** Where nginx has another sentence than `invalid NAME "NAME=VALUE"`. */
const WRONG_OPTION: Readonly<Record<string, (value: string) => string>> = {
  so_keepalive: (value) => `invalid so_keepalive value: "${value}"`,
  // nginx looks at the first letter before it looks at the word.
  ipv6only: (value) =>
    value.startsWith('o') ? `invalid ipv6only flags "${value}"` : `invalid parameter "ipv6only=${value}"`,
};

export const listenKind = [
  address('address', {
    listen: true,
    defaultPort: 80,
    wrong: (reason, text) => `${reason} in "${text}" of the "listen" directive`,
  }),
  options,
] as const;

export interface WrittenListen {
  readonly address: Address;
  readonly options: ReturnType<typeof options.parse>;
  readonly at: Position;
}

/** @param written undefined where a server has no `listen` at all */
export function readListen(written: WrittenListen | undefined, workshop: Workshop): DraftListen[] {
  if (written === undefined) return [standardListen()];
  const { options: given, at } = written;
  if (given.quic) throw new ConfigError('HTTP/3 is not supported: Node has no QUIC', at);
  warnOfOptions(written, workshop);
  const places = addressesOf(written, workshop).flatMap(portsOf);
  return places.map((place) => ({
    address: listenAddress(place, given.ipv6only ?? true),
    options: { backlog: given.backlog ?? DEFAULT_BACKLOG, soKeepalive: given.so_keepalive },
    hasOptions: hasOptions(given),
    ssl: given.ssl,
    proxyProtocol: given.proxy_protocol,
    http2: given.http2,
    defaultServer: given.default_server || given.default,
    at,
  }));
}

function standardListen(): DraftListen {
  const port = process.getuid?.() === 0 ? 80 : 8000;
  return {
    address: { key: `0.0.0.0:${port}`, kind: 'tcp', host: '0.0.0.0', port, ipv6Only: true },
    options: { backlog: DEFAULT_BACKLOG, soKeepalive: undefined },
    hasOptions: false,
    ssl: false,
    proxyProtocol: false,
    http2: false,
    defaultServer: false,
    at: undefined,
  };
}

/** The address itself; of a host name all that it has, each once. */
function addressesOf({ address: given, at }: WrittenListen, workshop: Workshop): readonly Address[] {
  if (given.family !== 'name') return [given];
  const found = workshop.lookUp(given.host);
  if (found === undefined) return [];
  if (found.length === 0) {
    const text = given.hasPort ? formatAddress(given) : given.host;
    throw new ConfigError(`host not found in "${text}" of the "listen" directive`, at);
  }
  return [...new Set(found)].map((host) => ({ ...given, host, family: isIPv6(host) ? 'ipv6' : 'ipv4' }));
}

function portsOf(place: Address): Address[] {
  const count = place.lastPort - place.port + 1;
  return Array.from({ length: count }, (_, index) => ({ ...place, port: place.port + index }));
}

function listenAddress(place: Address, ipv6Only: boolean): ListenAddress {
  const key = formatAddress(place);
  if (place.family === 'unix') return { key, kind: 'unix', path: place.host };
  return { key, kind: 'tcp', host: place.host, port: place.port, ipv6Only };
}

type Options = WrittenListen['options'];

/** Options of the socket itself; `ssl` and its like are of the servers on it. */
const SOCKET_OPTIONS = [
  'bind',
  'deferred',
  'reuseport',
  'multipath',
  'backlog',
  'rcvbuf',
  'sndbuf',
  'setfib',
  'fastopen',
  'accept_filter',
  'ipv6only',
  'so_keepalive',
] as const satisfies readonly (keyof Options)[];

function hasOptions(given: Options): boolean {
  return SOCKET_OPTIONS.some((name) => given[name] !== undefined && given[name] !== false) || given.ipv6only === false;
}

/** Options that Node has no way to set on a socket. */
const CANNOT_BE_SET = ['rcvbuf', 'sndbuf', 'setfib', 'fastopen', 'accept_filter', 'deferred', 'multipath'] as const;

function warnOfOptions({ options: given, at }: WrittenListen, workshop: Workshop): void {
  for (const name of CANNOT_BE_SET) {
    if (given[name] === undefined || given[name] === false) continue;
    workshop.warn(`"${name}" of "listen" has no effect: Node cannot set it`, at);
  }
  if (given.http2) workshop.warn('"http2" of "listen" has no effect yet: ALPN offers http/1.1 only', at);
  const keepalive = given.so_keepalive;
  if (keepalive !== undefined && (keepalive.interval > 0 || keepalive.count > 0) && !canSetKeepaliveInterval()) {
    workshop.warn('the interval and count of "so_keepalive" have no effect before Node 24', at);
  }
}

function canSetKeepaliveInterval(): boolean {
  return Number.parseInt(process.versions.node, 10) >= 24;
}

function readKeepalive(text: string): NonNullable<SocketOptions['soKeepalive']> {
  if (text === 'on' || text === 'off') return { on: text === 'on', idle: 0, interval: 0, count: 0 };
  const [idleText = '', intervalText = '', countText = '', ...more] = text.split(':');
  const [idle, interval, count] = [readTime(idleText), readTime(intervalText), readCount(countText)];
  const whole = idle !== undefined && interval !== undefined && count !== undefined && more.length === 0;
  if (!whole || (idle === 0 && interval === 0 && count === 0)) {
    throw new ConfigError(`invalid so_keepalive value: "${text}"`);
  }
  return { on: true, idle, interval, count };
}

function readTime(part: string): number | undefined {
  return part === '' ? 0 : parseTime(part, 's');
}

function readCount(part: string): number | undefined {
  return part === '' ? 0 : parseNumber(part);
}

// The arguments of `listen`, and the listening sockets that it stands for.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#listen

import { type Address, formatAddress } from '../addresses.ts';
import { ConfigError } from '../config/errors.ts';
import { parseTime } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import { address, alone, argument, flag, integer, parameters, size, word } from '../config/values.ts';
import type { ListenAddress, SocketOptions } from '../listen/listen-settings.ts';
import type { DraftListen, Workshop } from './draft.ts';

/** nginx's NGX_LISTEN_BACKLOG on Linux. */
const DEFAULT_BACKLOG = 511;

const keepaliveKind = argument('so_keepalive', 'on | off | [idle]:[interval]:[count]', (text) => readKeepalive(text));

const options = parameters('options', {
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
  ipv6only: flag,
  so_keepalive: keepaliveKind,
});

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

/** Options that Node has no way to set on a socket. */
const CANNOT_BE_SET = ['rcvbuf', 'sndbuf', 'setfib', 'fastopen', 'accept_filter'] as const;
const CANNOT_STAND_ALONE = ['deferred', 'multipath'] as const;

/** @param written undefined where a server has no `listen` at all */
export function readListen(written: WrittenListen | undefined, workshop: Workshop): DraftListen[] {
  if (written === undefined) return [standardListen()];
  const { address: first, options: given, at } = written;
  if (given.quic) throw new ConfigError('HTTP/3 is not supported: Node has no QUIC', at);
  warnOfOptions(written, workshop);
  const listens: DraftListen[] = [];
  for (let port = first.port; port <= first.lastPort; port++) {
    listens.push({
      address: listenAddress({ ...first, port }, given.ipv6only ?? true),
      options: socketOptions(given),
      hasOptions: hasOptions(given),
      ssl: given.ssl,
      proxyProtocol: given.proxy_protocol,
      defaultServer: given.default_server || given.default,
      at,
    });
  }
  return listens;
}

function standardListen(): DraftListen {
  const port = process.getuid?.() === 0 ? 80 : 8000;
  return {
    address: { key: `0.0.0.0:${port}`, kind: 'tcp', host: '0.0.0.0', port, ipv6Only: true },
    options: { backlog: DEFAULT_BACKLOG, soKeepalive: undefined },
    hasOptions: false,
    ssl: false,
    proxyProtocol: false,
    defaultServer: false,
    at: undefined,
  };
}

function listenAddress(address: Address, ipv6Only: boolean): ListenAddress {
  if (address.family === 'name') throw new ConfigError(`host not found in "${address.host}" of the "listen" directive`);
  const key = formatAddress(address);
  if (address.family === 'unix') return { key, kind: 'unix', path: address.host };
  return { key, kind: 'tcp', host: address.host, port: address.port, ipv6Only };
}

function socketOptions(given: WrittenListen['options']): SocketOptions {
  return { backlog: given.backlog ?? DEFAULT_BACKLOG, soKeepalive: given.so_keepalive };
}

function hasOptions(given: WrittenListen['options']): boolean {
  return (
    given.backlog !== undefined || given.so_keepalive !== undefined || given.ipv6only !== undefined || given.reuseport
  );
}

function warnOfOptions({ options: given, at }: WrittenListen, workshop: Workshop): void {
  for (const name of CANNOT_BE_SET) {
    if (given[name] !== undefined) workshop.warn(`"${name}" of "listen" has no effect: Node cannot set it`, at);
  }
  for (const name of CANNOT_STAND_ALONE) {
    if (given[name]) workshop.warn(`"${name}" of "listen" has no effect: Node cannot set it`, at);
  }
  if (given.http2) workshop.warn('"http2" of "listen" has no effect yet: ALPN offers http/1.1 only', at);
  if (given.default) workshop.warn('the "default" parameter of "listen" is the old name of "default_server"', at);
  const keepalive = given.so_keepalive;
  if (keepalive !== undefined && (keepalive.interval > 0 || keepalive.count > 0) && !keepaliveIntervalCanBeSet()) {
    workshop.warn('the interval and count of "so_keepalive" have no effect before Node 24', at);
  }
}

function keepaliveIntervalCanBeSet(): boolean {
  return Number.parseInt(process.versions.node, 10) >= 24;
}

function readKeepalive(text: string): NonNullable<SocketOptions['soKeepalive']> {
  if (text === 'on') return { on: true, idle: 0, interval: 0, count: 0 };
  if (text === 'off') return { on: false, idle: 0, interval: 0, count: 0 };
  const parts = text.split(':');
  const [idle = '', interval = '', count = ''] = parts;
  if (parts.length > 3 || text === '' || (idle === '' && interval === '' && count === '')) {
    throw new ConfigError(`invalid so_keepalive value: "${text}"`);
  }
  return { on: true, idle: readPart(idle, text), interval: readPart(interval, text), count: readCount(count, text) };
}

function readPart(part: string, whole: string): number {
  const value = part === '' ? 0 : parseTime(part, 's');
  if (value === undefined) throw new ConfigError(`invalid so_keepalive value: "${whole}"`);
  return value;
}

function readCount(part: string, whole: string): number {
  if (part === '') return 0;
  if (!/^\d+$/.test(part) || Number(part) === 0) throw new ConfigError(`invalid so_keepalive value: "${whole}"`);
  return Number(part);
}

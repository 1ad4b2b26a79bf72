// upstream: groups of servers, how one is chosen, and the connections to them that are kept.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html

import { isIPv6 } from 'node:net';
import { type Address, formatAddress } from '../addresses.ts';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseSize } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import {
  address,
  alone,
  argument,
  flag,
  integer,
  literal,
  optional,
  parameters,
  path,
  saying,
  seconds,
  text,
  time,
  word,
} from '../config/values.ts';
import type { BalancerSettings } from '../upstream/balance/make-balancer.ts';
import { DEFAULT_KEEPALIVE, type KeepaliveSettings } from '../upstream/keepalive.ts';
import type { PeerSettings } from '../upstream/peer.ts';
import { sharedPeers } from '../upstream/peer-table.ts';
import { Upstream } from '../upstream/upstream.ts';
import type { WaitLimits } from '../upstream/waiting-line.ts';
import { WatchedNames, type WatchedServer } from '../upstream/watched-names.ts';
import type { Level, UpstreamDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { notedResolution } from './resolver.ts';
import { stickyKind, stickySettings } from './sticky.ts';
import { checkOrder, methodOf, methodTable } from './upstream-methods.ts';
import { stateServers } from './upstream-state.ts';
import { upstreamVariables } from './upstream-variables.ts';
import { checkZoneSizes, declareZone, SMALLEST_ZONE } from './zone-names.ts';

/** nginx's NGX_HTTP_UPSTREAM_SID_LEN. */
const LONGEST_ROUTE = 32;

const serverParameters = parameters('parameters', {
  weight: integer('number', { min: 1 }),
  max_conns: integer('number'),
  max_fails: integer('number'),
  fail_timeout: seconds('time'),
  backup: alone,
  down: alone,
  drain: alone,
  slow_start: time('time'),
  route: text('string'),
  resolve: alone,
  service: word('name'),
});

/** Without a size, another upstream of the same zone must give it. */
const zoneSize = argument('size', 'size', (given) => {
  const size = parseSize(given, 'km');
  if (size === undefined) throw new ConfigError(`invalid zone size "${given}"`);
  return size;
});

const table = directives({
  upstream: {
    in: ['http'],
    args: [word('name')],
    many: true,
    block: 'upstream',
    doc: 'A group of servers that `proxy_pass` can name.',
  },
  server: {
    in: ['upstream'],
    args: [
      address('address', { defaultPort: 80, wrong: (reason, given) => `${reason} in upstream "${given}"` }),
      serverParameters,
    ],
    many: true,
    doc: 'One server of the group: `weight` (1), `max_fails` (1) within `fail_timeout` (10 s) disable it for as long, `max_conns`, `backup`, `down`, `drain`, and its `route` for `sticky`. `slow_start=TIME`: its weight grows from 0 in so long after it has become healthy, has been disabled, or was added by a reload or by `resolve`; not with `hash`, `ip_hash` and `random`, and not for the only server of a group. Its name is looked up when the configuration is loaded; with `resolve` it is resolved again and again by the `resolver`, and peers come and go with its addresses. `service=NAME`: by its SRV records, `http` standing for `_http._tcp`.',
    differs:
      'Failures and connections are counted over all workers, with or without `zone`, and survive a reload. `resolve` needs no `zone`; each worker resolves for itself, and what is known of the first 64 peers that come of it is shared.',
  },
  state: {
    in: ['upstream'],
    args: [path('file')],
    doc: 'A file with the `server` lines of the group, in the place of those in the block; relative to the prefix. One that is not there has none.',
    differs:
      'It is read with the configuration, and never written: there is nothing that changes a group but `resolve`.',
  },
  zone: {
    in: ['upstream'],
    args: [word('name'), optional(zoneSize)],
    doc: 'A name for what the workers know of the group together.',
    differs: 'They know it together with or without a zone; the size has no effect.',
  },
  keepalive: {
    in: ['upstream'],
    args: [
      saying(integer('connections'), (given, directive) => `invalid value "${given}" in "${directive}" directive`),
      optional(saying(literal('local'), (given) => `invalid parameter "${given}"`)),
    ],
    doc: 'The most idle connections that each worker keeps for the group; 0: none; default 32. `local`: a connection serves only the location that opened it.',
    since: '1.29.7 (default)',
  },
  keepalive_requests: {
    in: ['upstream'],
    args: [integer('number')],
    doc: 'The most requests over one connection; default 1000.',
  },
  keepalive_time: {
    in: ['upstream'],
    args: [time('time')],
    doc: 'So long after it was opened a connection serves no further request; default 1 h.',
  },
  keepalive_timeout: {
    in: ['upstream'],
    args: [time('time')],
    doc: 'How long an idle connection is kept; default 60 s.',
  },
  ...methodTable,
  queue: {
    in: ['upstream'],
    args: [integer('number', { min: 1 }), parameters('parameters', { timeout: time('time') })],
    doc: 'A request for which no server can be chosen at once, because all have `max_conns` connections or are disabled or unhealthy, waits for one; at most so many at a time. Beyond that, and after `timeout` (60 s), it gets 502. A method of balancing stands before it.',
    differs:
      'It is there; in nginx it is part of the commercial subscription. Those who wait are counted over all workers, and go on in the order in which they came, to within 0.2 s between workers.',
    since: '1.5.12',
  },
  websocket_rebalance: {
    in: ['upstream'],
    args: [flag],
    default: 'off',
    doc: 'After a server has come (added by a reload or by `resolve`, healthy again, back after `max_fails`), WebSockets of the fullest servers are asked to connect again, at `websocket_drain_rate`, until no server has 5 % more than its share by weight. Without another method `least_conn` chooses then; not with `hash`, `ip_hash` and `sticky`, which send a client back to where it was.',
    differs: 'Our own.',
  },
  sticky: {
    in: ['upstream'],
    args: [stickyKind],
    doc: 'The same client to the same server. `cookie NAME`: by a cookie that each answer sets (`expires=TIME|max domain= path= httponly secure samesite=`). `route $variable …`: the first variable that is not empty names the server by its `route` (or the MD5 of its address). `learn create=$variable lookup=$variable zone=NAME:SIZE [timeout=10m] [header]`: by sessions that the servers make. Bare `sticky route`: the gateway itself sets a cookie `route`; clients without one are spread by consistent hash of their address. `engineio [zone=NAME:SIZE] [timeout=10m]`: by the sessions of Socket.IO and Engine.IO, without a cookie; the default zone has 4m and belongs to this upstream.',
    since: '1.29.6',
    differs:
      'Bare `sticky route` and `sticky engineio` are ours. `sticky` may stand above the method, which is a warning; nginx drops it then. `learn` learns from a 101 at once, with or without `header`. Sessions survive a reload.',
  },
});

type Set = SetOf<typeof table>;
type WrittenServer = Set['server'][number];

export const upstream = nginxModule('http_upstream', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_upstream_module.html',
  directives: table,
  variables: upstreamVariables,
  upstream(set, draft, level) {
    const { workshop, name, at } = draft;
    checkZone(set, draft);
    checkOrder(level, workshop);
    // Where a line was refused, or a name is not known yet, the group is not whole: there is nothing to say of it.
    if (!level.stands('server') && !level.stands('state'))
      throw new ConfigError('no servers are inside upstream', at, NO_SERVERS);
    const written = set.state === undefined ? set.server : serversOfState(set.state, level, workshop);
    if (written === undefined) return;
    const watched: WatchedServer[] = [];
    const peers = written.map((server) =>
      workshop.problems.attempt(() => (isWatched(server) ? watch(server, draft, watched) : peersOf(server, workshop))),
    );
    const servers = peers.flatMap((found) => found ?? []);
    if (level.places('server').length < standing(level, 'server') || peers.includes(undefined)) return;
    const all = [...servers, ...watched.map(({ template }) => template)];
    if (set.state === undefined && all.every((server) => server.backup))
      throw new ConfigError(`no servers in upstream "${name}"`, at, NO_SERVERS);
    const balancer = balancerOf(set, level, workshop);
    const sticky = set.sticky === undefined ? undefined : stickySettings(set.sticky, draft);
    const names = namesOf(servers, watched, draft);
    const runTimePeers = watched.length === 0 ? 0 : MOST_RESOLVED;
    draft.upstream = new Upstream(
      {
        name,
        servers,
        keepalive: keepaliveOf(set),
        balancer,
        sticky,
        queue: queueOf(set),
        names,
        runTimePeers,
        rebalances: set.websocket_rebalance,
      },
      sharedPeers(workshop.zones),
    );
  },
  http(_, draft) {
    checkZoneSizes(draft);
  },
});

/** Who is asked to connect again must not be sent to where it was. */
const STAYING: ReadonlySet<string> = new Set(['hash', 'consistent-hash', 'ip-hash']);

function balancerOf(set: Set, level: Level, workshop: Workshop): BalancerSettings | undefined {
  const method = methodOf(set, level, workshop);
  if (!set.websocket_rebalance) return method;
  if (set.sticky !== undefined || (method !== undefined && STAYING.has(method.kind)))
    throw new ConfigError(
      '"websocket_rebalance" cannot be used with "hash", "ip_hash" and "sticky"',
      level.at('websocket_rebalance'),
    );
  return method ?? { kind: 'least-conn' };
}

const NO_SERVERS = { mend: 'add "server HOST:PORT;"' };

function serversOfState(file: string, level: Level, workshop: Workshop): readonly WrittenServer[] | undefined {
  const at = level.at('state');
  if (level.stands('server')) throw new ConfigError('"state" cannot be used along with "server"', at);
  return stateServers(file, at, table.server, workshop);
}

/** How often it stands here, refused lines included. */
function standing({ block }: Level, name: string): number {
  return block.directives.filter((directive) => directive.name === name).length;
}

function checkZone({ zone }: Set, { http, workshop }: UpstreamDraft): void {
  if (zone === undefined) return;
  const { name, size = 0, at } = zone;
  workshop.problems.attempt(() => {
    if (name === '') throw new ConfigError('invalid zone name ""', at);
    if (size > 0 && size < SMALLEST_ZONE) throw new ConfigError(`zone "${name}" is too small`, at);
    declareZone(http, { name, size, use: 'upstream', at });
  });
}

/** One peer for each address. undefined: the name is not known yet. */
function peersOf(
  { address: where, parameters: given, at }: WrittenServer,
  workshop: Workshop,
): PeerSettings[] | undefined {
  checkParameters(given, at);
  const written = asWritten(where);
  return addressesOf(where, written, at, workshop)?.map((address) => ({
    address: address.family === 'unix' ? { path: address.host } : { host: address.host, port: address.port },
    name: formatAddress(address),
    ...peerTemplate(written, given),
  }));
}

function peerTemplate(written: string, given: WrittenServer['parameters']): WatchedServer['template'] {
  return {
    server: written,
    weight: given.weight ?? 1,
    maxFails: given.max_fails ?? 1,
    failTimeout: (given.fail_timeout ?? 10_000) / 1000,
    maxConns: given.max_conns ?? 0,
    backup: given.backup,
    down: given.down,
    drain: given.drain,
    slowStart: given.slow_start ?? 0,
    route: given.route ?? '',
  };
}

// Names that are resolved while it runs.

/** So many peers that an upstream's names come to share what is known of them over all workers. */
const MOST_RESOLVED = 64;

/** An address needs no resolving, whatever is said. */
function isWatched({ address: { family }, parameters: { resolve, service } }: WrittenServer): boolean {
  return (resolve && family === 'name') || service !== undefined;
}

/** @returns no peers: its names' addresses are not known yet */
function watch(server: WrittenServer, draft: UpstreamDraft, watched: WatchedServer[]): PeerSettings[] {
  const { address: where, parameters: given, at } = server;
  checkParameters(given, at);
  checkService(server);
  if (notedResolution(draft) === undefined) {
    const message = `no resolver defined to resolve names at run time in upstream "${draft.name}"`;
    throw new ConfigError(message, at, { mend: 'add "resolver ADDRESS;" to the upstream or to http' });
  }
  const template = peerTemplate(asWritten(where), given);
  watched.push({ name: where.host, port: where.port, service: given.service, template });
  return [];
}

function checkService({ address: where, parameters: { resolve, service }, at }: WrittenServer): void {
  if (service === undefined) return;
  const wrong = (what: string): ConfigError => new ConfigError(`service upstream "${asWritten(where)}" ${what}`, at);
  if (service === '') throw new ConfigError('service is empty', at);
  if (!resolve) throw wrong('requires "resolve" parameter');
  if (where.hasPort) throw wrong('may not have port');
  if (where.family !== 'name') throw wrong('requires domain name');
}

function namesOf(
  fixed: readonly PeerSettings[],
  watched: readonly WatchedServer[],
  draft: UpstreamDraft,
): WatchedNames | undefined {
  const resolution = notedResolution(draft);
  if (watched.length === 0 || resolution === undefined) return undefined;
  return new WatchedNames({ fixed, watched, ...resolution, log: draft.workshop.baseErrorLog });
}

/** With the port only if it was given: consistent hash and nginx's messages count it so. */
function asWritten(where: Address): string {
  return formatAddress(where.hasPort ? where : { ...where, port: 0 });
}

function checkParameters({ route }: WrittenServer['parameters'], at: Position): void {
  if (route === '') throw new ConfigError('route is empty', at);
  if (route !== undefined && route.length > LONGEST_ROUTE)
    throw new ConfigError(`route is longer than ${LONGEST_ROUTE}`, at);
}

/**
 * All addresses of a host name, or the address itself; undefined: not known yet.
 * @param written as nginx names it where it is not found
 */
export function addressesOf(
  where: Address,
  written: string,
  at: Position | undefined,
  workshop: Workshop,
): Address[] | undefined {
  if (where.family !== 'name') return [where];
  const found = workshop.lookUp(where.host);
  if (found?.length === 0) throw new ConfigError(`host not found in upstream "${written}"`, at);
  return found?.map((host) => ({ ...where, host, family: isIPv6(host) ? 'ipv6' : 'ipv4' }));
}

const QUEUE_TIMEOUT = 60_000;

function queueOf({ queue }: Set): WaitLimits | undefined {
  return queue && { most: queue.number, timeout: queue.parameters.timeout ?? QUEUE_TIMEOUT };
}

function keepaliveOf(set: Set): KeepaliveSettings {
  return {
    connections: set.keepalive?.connections ?? DEFAULT_KEEPALIVE.connections,
    local: set.keepalive === undefined || set.keepalive.local !== undefined,
    requests: set.keepalive_requests ?? DEFAULT_KEEPALIVE.requests,
    time: set.keepalive_time ?? DEFAULT_KEEPALIVE.time,
    timeout: set.keepalive_timeout ?? DEFAULT_KEEPALIVE.timeout,
  };
}

// health_check and match: servers are asked again and again, and those that do not answer as they should get no requests.
// https://nginx.org/en/docs/http/ngx_http_upstream_hc_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Position } from '../config/tree.ts';
import { alone, argument, integer, parameters, text, time, word } from '../config/values.ts';
import { HttpProber } from '../serve/health/http-prober.ts';
import { type MatchTests, NO_TESTS } from '../serve/health/match-tests.ts';
import type { ProbeSettings } from '../serve/health/probe-settings.ts';
import { TcpProber } from '../serve/health/tcp-prober.ts';
import { WebSocketProber } from '../serve/health/websocket-prober.ts';
import type { ProxySettings, ProxyTarget } from '../serve/proxy-settings.ts';
import { HealthCheck, type Prober } from '../upstream/health-check.ts';
import { MOST_CHECKS } from '../upstream/peer-health.ts';
import { ConnectionCounts } from '../zones/connection-counts.ts';
import type { HttpDraft, Level, LocationDraft, UpstreamDraft } from './draft.ts';
import { type Match, readMatch } from './match-block.ts';
import { nginxModule } from './module.ts';

type CheckType = 'http' | 'tcp' | 'websocket';

const HIGHEST_PORT = 65_535;

const typeKind = argument('type', 'http | tcp | websocket', (given): CheckType => {
  if (given === 'http' || given === 'tcp' || given === 'websocket') return given;
  const mend = given === 'grpc' ? 'gRPC is not spoken here' : 'it must be "http", "tcp" or "websocket"';
  throw new ConfigError(`invalid value "${given}"`, undefined, { mend });
});

const table = directives({
  health_check: {
    in: ['location'],
    args: [
      parameters('parameters', {
        interval: time('time'),
        jitter: time('time'),
        fails: integer('number', { min: 1 }),
        passes: integer('number', { min: 1 }),
        uri: text('uri'),
        mandatory: alone,
        persistent: alone,
        match: word('name'),
        port: integer('number', { min: 1, max: HIGHEST_PORT }),
        keepalive_time: time('time'),
        type: typeKind,
      }),
    ],
    inherit: false,
    doc: 'Checks each server of the `upstream` that `proxy_pass` names here every `interval` (5 s), delayed by up to `jitter` (0). After `fails` (1) failures one after the other a server is unhealthy and gets no new requests; after `passes` (1) successes it is healthy again. `uri` (`/`) is asked for, by the settings of the location; the answer must be 2xx or 3xx, or what `match` demands. `mandatory`: no requests before the first check has passed; `persistent`: but for what was healthy before a reload. `port`: another one than the server’s. `keepalive_time`: connections are kept for so long. `type=tcp`: a connection, over TLS with `https://`, and what `match` sends and expects. `type=websocket`: an opening handshake, a ping that must be answered, perhaps a message, and a Close with 1000.',
    differs:
      'In nginx it is part of the commercial subscription, and has no `type=websocket`; `type=tcp` is what it has for `stream`. A `zone` is not needed: one worker checks for all of them, and what is known survives a reload, but with `mandatory` alone. There is no `type=grpc`. An upstream has eight at most. A check may take as long as `proxy_connect_timeout`, `proxy_send_timeout` and `proxy_read_timeout` together.',
  },
  match: {
    in: ['http'],
    args: [word('name')],
    many: true,
    block: 'raw',
    doc: 'What the answer to a `health_check` must be: `status [!] CODE|FROM-TO …`, `header [!] NAME`, `header NAME =|!=|~|~*|!~|!~* VALUE`, `body ~|~*|!~|!~* REGEX` (of its first 256 KB), `require $variable …` (neither empty nor `0`). For `type=tcp` and `type=websocket`: `send "TEXT"`, and `expect "TEXT"` or `expect ~|~* REGEX`: what the server says, or one of its messages, begins with the text, or fits the expression. `\\xHH` is a byte.',
    differs: '`send` and `expect` are those of nginx’s `stream`.',
  },
});

type Set = SetOf<typeof table>;
type Given = NonNullable<Set['health_check']>;

const MATCHES = Symbol('match blocks');

export const healthCheck = nginxModule('http_upstream_hc', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_upstream_hc_module.html',
  directives: table,
  http(set, draft) {
    const matches = new Map<string, Match>();
    for (const { name, block, at } of set.match) {
      if (matches.has(name)) draft.workshop.error(`duplicate match "${name}"`, at);
      else matches.set(name, readMatch(block, draft.workshop));
    }
    draft.notes.set(MATCHES, matches);
  },
  location(set, draft, level) {
    if (set.health_check === undefined || draft.overlay !== undefined) return;
    const at = level.at('health_check') as Position;
    const given = checked(set.health_check, at);
    const match = matchOf(given, draft.server.http, at);
    const upstream = upstreamOf(draft, level, at);
    if (upstream === undefined || draft.proxied === undefined) return;
    draft.server.http.healthChecks.push(makeCheck(given, match, draft.proxied, upstream, draft));
  },
});

const DEFAULT_INTERVAL = 5000;

/** What contradicts itself. */
function checked(given: Given, at: Position): Given {
  const { uri, type, persistent, mandatory, interval, keepalive_time: kept } = given;
  if (uri !== undefined && !uri.startsWith('/')) throw new ConfigError(`invalid uri "${uri}"`, at, NEEDS_SLASH);
  if (uri !== undefined && type === 'tcp') throw new ConfigError('"uri" has no use with "type=tcp"', at);
  if (kept !== undefined && type !== undefined && type !== 'http')
    throw new ConfigError(`"keepalive_time" has no use with "type=${type}"`, at);
  if (persistent && !mandatory) throw new ConfigError('"persistent" requires "mandatory"', at);
  if (interval === 0) throw new ConfigError('invalid parameter "interval=0"', at, { mend: 'give it a time above 0' });
  return given;
}

const NEEDS_SLASH = { mend: 'it must begin with "/"' };

/** Lines of a match that a type of check has no use for. */
const USELESS: Readonly<Record<CheckType, readonly string[]>> = {
  http: ['send', 'expect'],
  tcp: ['status', 'header', 'body', 'require'],
  websocket: ['body'],
};

function matchOf({ match: name, type = 'http' }: Given, { notes }: HttpDraft, at: Position): Match | undefined {
  if (name === undefined) return undefined;
  const match = (notes.get(MATCHES) as ReadonlyMap<string, Match>).get(name);
  if (match === undefined) throw new ConfigError(`match "${name}" is not defined`, at);
  const useless = USELESS[type].find((line) => match.lines.has(line));
  if (useless === undefined) return match;
  throw new ConfigError(`"${useless}" of match "${name}" has no use with "type=${type}"`, at);
}

/** undefined where something else is wrong, or a name is not known yet. */
function upstreamOf({ proxied, server }: LocationDraft, level: Level, at: Position): UpstreamDraft | undefined {
  if (!level.stands('proxy_pass'))
    throw new ConfigError('"health_check" requires "proxy_pass" in the same location', at);
  if (proxied === undefined) return undefined;
  const { target } = proxied;
  const all = [...server.http.upstreams.values()];
  const found = typeof target === 'function' ? undefined : all.find(({ upstream }) => upstream === target.upstream);
  if (found === undefined) throw new ConfigError('"health_check" requires "proxy_pass" to an upstream by its name', at);
  if ((found.upstream?.checks.length ?? 0) < MOST_CHECKS) return found;
  throw new ConfigError(`more than ${MOST_CHECKS} health checks of upstream "${found.name}"`, at);
}

function makeCheck(
  given: Given,
  match: Match | undefined,
  proxy: ProxySettings,
  { upstream }: UpstreamDraft,
  { settings, server, workshop }: LocationDraft,
): HealthCheck {
  const target = proxy.target as ProxyTarget;
  const { type = 'http', port } = given;
  const probe: ProbeSettings = {
    standpoint: {
      server: server.settings,
      location: settings,
      connectionCounts: ConnectionCounts.of(workshop.zones),
    },
    proxy,
    target,
    uri: byteString(given.uri ?? '/'),
    port,
    tests: testsOf(type, match),
    keepaliveTime: given.keepalive_time ?? 0,
  };
  return new HealthCheck({
    upstream: upstream ?? target.upstream,
    fails: given.fails ?? 1,
    passes: given.passes ?? 1,
    mandatory: given.mandatory,
    persistent: given.persistent,
    interval: given.interval ?? DEFAULT_INTERVAL,
    jitter: given.jitter ?? 0,
    matchName: given.match ?? '',
    port,
    prober: proberOf(type, probe),
    log: settings.errorLog,
  });
}

/** The status of a handshake is 101 in any case. */
function testsOf(type: CheckType, match: Match | undefined): MatchTests {
  if (match !== undefined) return match.tests;
  return type === 'websocket' ? { ...NO_TESTS, status: [] } : NO_TESTS;
}

function proberOf(type: CheckType, settings: ProbeSettings): Prober {
  switch (type) {
    case 'http':
      return new HttpProber(settings);
    case 'tcp':
      return new TcpProber(settings);
    case 'websocket':
      return new WebSocketProber(settings);
  }
}

// limit_conn: how many connections with requests there may be at once for a key; a tunnel is one until it closes.
// https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { argument, flag, template, word } from '../config/values.ts';
import type { Exchange, Handler } from '../exchange/exchange.ts';
import { DECLINED, type Verdict } from '../exchange/verdict.ts';
import { OVER_LIMIT, type SharedCounts } from '../zones/shared-counts.ts';
import {
  type LimitZone,
  LimitZones,
  limitKey,
  limitLogLevel,
  limitStatus,
  type Refusal,
  readZoneSize,
} from './limit-zones.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location'] as const;
/** nginx keeps the length of a key in one byte. */
const LONGEST_KEY = 255;
const MOST_CONNECTIONS = 65_535;

const zones = new LimitZones<SharedCounts>('limit_conn');

const zoneSize = argument('zone', 'zone=name:size', (text) => {
  const zone = readZoneSize(text);
  if (zone === undefined) throw new ConfigError(`invalid parameter "${text}"`);
  return zone;
});

const mostConnections = argument('number', 'number', (text) => {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (number === 0) throw new ConfigError(`invalid number of connections "${text}"`);
  if (number > MOST_CONNECTIONS) throw new ConfigError('connection limit must be less 65536');
  return number;
});

export const limitConn = nginxModule('http_limit_conn', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html',
  directives: directives({
    limit_conn_zone: {
      in: ['http'],
      args: [template('key'), zoneSize],
      many: true,
      doc: 'Names shared memory in which connections are counted by a key; requests whose key is empty are not.',
      differs: 'A reload that gives a zone another key begins to count anew, where nginx refuses it.',
    },
    limit_conn: {
      in: EVERYWHERE,
      args: [word('zone'), mostConnections],
      many: true,
      doc: 'How many connections there may be at once for one value of the key of a zone, over all workers. A connection counts from the head of its request to the end of its answer, one that was upgraded until it closes.',
    },
    limit_conn_status: { in: EVERYWHERE, args: [limitStatus], default: '503', doc: 'The status of a refusal.' },
    limit_conn_log_level: {
      in: EVERYWHERE,
      args: [limitLogLevel],
      default: 'error',
      doc: 'The level at which refusals are logged.',
    },
    limit_conn_dry_run: {
      in: EVERYWHERE,
      args: [flag],
      default: 'off',
      doc: 'Counts and logs, but refuses nothing; `$limit_conn_status` says what would have been.',
    },
  }),
  variables: { limit_conn_status: (exchange) => exchange.note<string>(STATUS) },
  http(set, draft) {
    const { workshop } = draft;
    for (const { key, zone, at } of set.limit_conn_zone) {
      const open = (identity: string, bytes: number): SharedCounts => workshop.zones.counts(identity, bytes);
      workshop.problems.attempt(() => zones.add(draft, { ...zone, key, at }, open));
    }
  },
  location(set, { server, preaccess }) {
    const limits = zones.limits(set.limit_conn, server.http, ({ number: most }, zone): Limit => ({ zone, most }));
    if (limits.length === 0) return;
    preaccess.push(
      limiting(limits, {
        status: set.limit_conn_status,
        logLevel: set.limit_conn_log_level,
        dryRun: set.limit_conn_dry_run,
      }),
    );
  },
});

interface Limit {
  readonly zone: LimitZone<SharedCounts>;
  readonly most: number;
}

const STATUS = Symbol('$limit_conn_status');

/** What an exchange has entered, to be left when it is over. */
class Entered {
  readonly #entries: (readonly [SharedCounts, number])[] = [];

  add(table: SharedCounts, entry: number): void {
    this.#entries.push([table, entry]);
  }

  leave(): void {
    for (const [table, entry] of this.#entries) table.leave(entry);
    this.#entries.length = 0;
  }
}

/** Once for a request, whatever it is redirected to. */
function limiting(limits: readonly Limit[], refusal: Refusal): Handler {
  return (exchange) => {
    if (exchange.note(STATUS) !== undefined) return DECLINED;
    const entered = new Entered();
    for (const limit of limits) {
      const key = limitKey(limit.zone, exchange, LONGEST_KEY);
      if (key === '') continue;
      if (exchange.note(STATUS) === undefined) exchange.setNote(STATUS, 'PASSED');
      const entry = limit.zone.table.enter(key, limit.most);
      if (entry < 0) {
        entered.leave();
        return refuse(exchange, limit, entry, refusal);
      }
      entered.add(limit.zone.table, entry);
    }
    if (exchange.note(STATUS) !== undefined) exchange.whenOver(() => entered.leave());
    return DECLINED;
  };
}

function refuse(exchange: Exchange, { zone }: Limit, why: number, { status, logLevel, dryRun }: Refusal): Verdict {
  const reason = why === OVER_LIMIT ? 'limiting connections' : 'no room for another key, limiting connections';
  exchange.log(logLevel, `${reason}${dryRun ? ', dry run,' : ''} by zone "${zone.name}"`);
  exchange.setNote(STATUS, dryRun ? 'REJECTED_DRY_RUN' : 'REJECTED');
  return dryRun ? DECLINED : status;
}

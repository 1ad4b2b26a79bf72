// limit_req: how many requests a second there may be for a key; what comes faster is delayed, and beyond a burst refused.
// https://nginx.org/en/docs/http/ngx_http_limit_req_module.html

import { directives, type Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import type { Argument, Position } from '../config/tree.ts';
import { flag, template } from '../config/values.ts';
import type { Level as LogLevel } from '../diagnostics/error-log.ts';
import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange, Handler } from '../exchange/exchange.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { SharedRates } from '../zones/shared-rates.ts';
import type { HttpDraft } from './draft.ts';
import {
  type LimitZone,
  LimitZones,
  limitKey,
  limitLogLevel,
  limitStatus,
  type Refusal,
  readZoneSize,
  type WrittenLimit,
} from './limit-zones.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location'] as const;
/** nginx keeps the length of a key in two bytes. */
const LONGEST_KEY = 65_535;

interface RateTable {
  readonly rates: SharedRates;
  /** Thousandths of a request per second. */
  readonly rate: number;
}

const zones = new LimitZones<RateTable>('limit_req');

interface WrittenZone {
  readonly name: string;
  readonly size: number;
  readonly rate: number;
}

/** `zone=name:size rate=10r/s`, in either order. */
const zoneKind: Kind<'zone', WrittenZone> = {
  name: 'zone',
  syntax: 'zone=name:size rate=rate',
  takes: 'rest',
  parse: (args, directive) => {
    let zone = { name: '', size: 0 };
    let rate = 1000;
    eachOf(args, (text) => {
      const size = readZoneSize(text);
      if (size !== undefined) zone = size;
      else if (text.startsWith('rate=')) rate = readRate(text);
      else throw new ConfigError(`invalid parameter "${text}"`);
    });
    if (args.length !== 2) throw new ConfigError(`invalid number of arguments in "${directive}" directive`);
    return { ...zone, rate };
  },
};

/** Thousandths of a request per second, whole ones as in nginx. */
function readRate(text: string): number {
  const [, digits = '', unit] = /^rate=(\d{1,12})(r\/s|r\/m)?$/.exec(text) ?? [];
  const rate = Number(digits);
  if (rate === 0) throw new ConfigError(`invalid rate "${text}"`);
  return Math.trunc((rate * 1000) / (unit === 'r/m' ? 60 : 1));
}

interface WrittenRequestLimit extends WrittenLimit {
  /** Both in thousandths of a request. */
  readonly burst: number;
  readonly delay: number;
}

/** `zone=name burst=5 delay=3`, `nodelay`. */
const limitKind: Kind<'limit', WrittenRequestLimit> = {
  name: 'limit',
  syntax: 'zone=name [burst=number] [nodelay | delay=number]',
  takes: 'rest',
  parse: (args, directive) => {
    const { at } = args[0] as Argument;
    if (args.length > 3) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, at);
    const limit = { zone: '', burst: 0, delay: 0, at };
    eachOf(args, (text) => {
      if (text.startsWith('zone=')) limit.zone = text.slice('zone='.length);
      else if (text.startsWith('burst=')) limit.burst = readNumber(text, 'burst') * 1000;
      else if (text.startsWith('delay=')) limit.delay = readNumber(text, 'delay') * 1000;
      else if (text === 'nodelay') limit.delay = Number.POSITIVE_INFINITY;
      else throw new ConfigError(`invalid parameter "${text}"`);
    });
    if (limit.zone === '') throw new ConfigError(`"${directive}" must have "zone" parameter`, at);
    return limit;
  },
};

function readNumber(text: string, name: string): number {
  const digits = text.slice(name.length + 1);
  const number = /^\d{1,12}$/.test(digits) ? Number(digits) : 0;
  if (number === 0) throw new ConfigError(`invalid ${name} value "${text}"`);
  return number;
}

/** What is wrong stands where the argument does. */
function eachOf(args: readonly Argument[], step: (text: string) => void): void {
  for (const { text, at } of args) {
    try {
      step(text);
    } catch (error) {
      throw error instanceof ConfigError ? new ConfigError(error.message, error.at ?? at, error) : error;
    }
  }
}

export const limitReq = nginxModule('http_limit_req', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_limit_req_module.html',
  directives: directives({
    limit_req_zone: {
      in: ['http'],
      args: [template('key'), zoneKind],
      many: true,
      doc: 'Names shared memory in which requests are counted by a key, and how many of them there may be: `rate=10r/s`, `rate=30r/m`. Requests whose key is empty are not counted.',
      differs: 'A reload that gives a zone another key begins to count anew, where nginx refuses it.',
    },
    limit_req: {
      in: EVERYWHERE,
      args: [limitKind],
      many: true,
      doc: 'Holds requests to the rate of a zone, over all workers. What comes faster waits for its turn, up to `burst` requests; of those the first `delay`, or with `nodelay` all, do not wait.',
    },
    limit_req_status: { in: EVERYWHERE, args: [limitStatus], default: '503', doc: 'The status of a refusal.' },
    limit_req_log_level: {
      in: EVERYWHERE,
      args: [limitLogLevel],
      default: 'error',
      doc: 'The level at which refusals are logged; delays are logged one level below it.',
    },
    limit_req_dry_run: {
      in: EVERYWHERE,
      args: [flag],
      default: 'off',
      doc: 'Counts and logs, but neither delays nor refuses; `$limit_req_status` says what would have been.',
    },
  }),
  variables: { limit_req_status: (exchange) => exchange.note<string>(STATUS) },
  http(set, draft) {
    for (const written of set.limit_req_zone) draft.workshop.problems.attempt(() => addZone(draft, written));
  },
  location(set, { server, preaccess }) {
    const limits = zones.limits(set.limit_req, server.http, makeLimit);
    if (limits.length === 0) return;
    preaccess.push(
      limiting(limits, {
        status: set.limit_req_status,
        logLevel: set.limit_req_log_level,
        dryRun: set.limit_req_dry_run,
      }),
    );
  },
});

interface WrittenZoneLine {
  readonly key: Template;
  readonly zone: WrittenZone;
  readonly at: Position;
}

function addZone(draft: HttpDraft, { key, zone, at }: WrittenZoneLine): void {
  const { rate } = zone;
  zones.add(draft, { ...zone, key, at }, (identity, bytes) => ({
    rates: draft.workshop.zones.rates(identity, bytes),
    rate,
  }));
}

function makeLimit({ burst, delay }: WrittenRequestLimit, zone: LimitZone<RateTable>): Limit {
  return { zone, burst, delay };
}

interface Limit {
  readonly zone: LimitZone<RateTable>;
  readonly burst: number;
  readonly delay: number;
}

const STATUS = Symbol('$limit_req_status');

/** Delays are less severe than refusals. */
const DELAY_LEVEL: Readonly<Record<string, LogLevel>> = { error: 'warn', warn: 'notice', notice: 'info', info: 'info' };

/** A request and the limit that says most about it. */
interface Found {
  readonly limit: Limit;
  /** Thousandths of a request above the rate. */
  readonly excess: number;
}

/**
 * Once for a request, whatever it is redirected to. The last limit counts it at once; those before it only when none has refused it,
 * so that a request that is refused counts nowhere.
 */
function limiting(limits: readonly Limit[], refusal: Refusal): Handler {
  const last = limits.at(-1) as Limit;
  return (exchange) => {
    if (exchange.note(STATUS) !== undefined) return DECLINED;
    let counted: Found | undefined;
    let pending = NONE_PENDING;
    for (const limit of limits) {
      const key = limitKey(limit.zone, exchange, LONGEST_KEY);
      if (key === '') continue;
      const { rates, rate } = limit.zone.table;
      const excess = limit === last ? rates.take(key, rate, limit.burst) : rates.look(key, rate);
      if (excess > limit.burst) return refuse(exchange, { limit, excess }, refusal);
      if (limit === last) counted = { limit, excess };
      else pending = [...pending, [limit, key]];
    }
    if (counted === undefined && pending.length === 0) return DECLINED;
    return settle(exchange, counted, pending, refusal);
  };
}

const NONE_PENDING: readonly (readonly [Limit, string])[] = [];

/** Counts what was only looked at, from the last limit to the first, and lets the longest delay hold. */
function settle(
  exchange: Exchange,
  counted: Found | undefined,
  pending: readonly (readonly [Limit, string])[],
  refusal: Refusal,
): Verdict {
  let slowest = counted;
  let longest = counted === undefined ? 0 : delayOf(counted);
  for (let index = pending.length - 1; index >= 0; index--) {
    const [limit, key] = pending[index] as readonly [Limit, string];
    const { rates, rate } = limit.zone.table;
    const found = { limit, excess: rates.take(key, rate, Number.POSITIVE_INFINITY) };
    const delay = delayOf(found);
    if (delay <= longest) continue;
    longest = delay;
    slowest = found;
  }
  if (slowest !== undefined && longest > 0) return holdBack(exchange, slowest, longest, refusal);
  exchange.setNote(STATUS, 'PASSED');
  return DECLINED;
}

/** ms */
function delayOf({ limit, excess }: Found): number {
  return excess <= limit.delay ? 0 : Math.trunc(((excess - limit.delay) * 1000) / limit.zone.table.rate);
}

const inRequests = (excess: number): string => (excess / 1000).toFixed(3);

function refuse(exchange: Exchange, { limit, excess }: Found, { status, logLevel, dryRun }: Refusal): Verdict {
  const reason = `limiting requests${dryRun ? ', dry run' : ''}, excess: ${inRequests(excess)}`;
  exchange.log(logLevel, `${reason} by zone "${limit.zone.name}"`);
  exchange.setNote(STATUS, dryRun ? 'REJECTED_DRY_RUN' : 'REJECTED');
  return dryRun ? DECLINED : status;
}

function holdBack(exchange: Exchange, { limit, excess }: Found, ms: number, { logLevel, dryRun }: Refusal): Verdict {
  const reason = `delaying request${dryRun ? ', dry run' : ''}, excess: ${inRequests(excess)}`;
  exchange.log(DELAY_LEVEL[logLevel] as LogLevel, `${reason}, by zone "${limit.zone.name}"`);
  exchange.setNote(STATUS, dryRun ? 'DELAYED_DRY_RUN' : 'DELAYED');
  if (dryRun) return DECLINED;
  new Delay(exchange).begin(ms);
  return PENDING;
}

/** A request that waits for its turn; a client that goes meanwhile has waited in vain. */
class Delay implements DeadlineOwner, ClientWatcher {
  readonly #exchange: Exchange;
  readonly #deadline: Deadline;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#deadline = new Deadline(this);
  }

  begin(ms: number): void {
    this.#exchange.watcher = this;
    this.#deadline.set(ms);
  }

  deadlineReached(): void {
    this.#exchange.watcher = undefined;
    this.#exchange.resume(DECLINED);
  }

  clientDrain(): void {}

  clientBlocked(): void {}

  clientEnded(): void {
    this.#deadline.clear();
    this.#exchange.log('info', 'client prematurely closed connection');
    this.#exchange.status = 499;
    this.#exchange.cutShort();
  }

  clientGone(): void {
    this.#deadline.clear();
  }
}

// hash, ip_hash, least_conn, least_time, random: how an upstream chooses among its servers.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html

import type { SetOf } from '../config/directive.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Directive } from '../config/tree.ts';
import { argument, literal, oneOf, optional, saying, template } from '../config/values.ts';
import type { Timing } from '../upstream/balance/balancer.ts';
import type { BalancerSettings } from '../upstream/balance/make-balancer.ts';
import type { Level, Workshop } from './draft.ts';

const invalid = (given: string): string => `invalid parameter "${given}"`;

const MEASURES: Readonly<Record<string, Timing['measure']>> = { header: 'header', last_byte: 'last byte' };

/** What the better of two random servers has less of. */
const twoMethod = argument('method', 'least_conn | least_time=header | least_time=last_byte', (given) => {
  if (given === 'least_conn') return { kind: 'random-two' } as const;
  const measure = given.startsWith('least_time=') ? MEASURES[given.slice('least_time='.length)] : undefined;
  if (measure === undefined) throw new ConfigError(invalid(given));
  return { kind: 'random-two-least-time', measure, inflight: false } as const;
});

export const methodTable = directives({
  hash: {
    in: ['upstream'],
    args: [template('key'), optional(saying(literal('consistent'), invalid))],
    many: true,
    doc: 'The server by a hash of the key, as memcached’s Perl clients do it. `consistent`: by ketama’s ring, so that few keys move when servers come or go. An empty key: by turns.',
  },
  ip_hash: {
    in: ['upstream'],
    args: [],
    many: true,
    doc: 'The server by a hash of the client’s address: three bytes of an IPv4 address, all of an IPv6 one.',
  },
  least_conn: {
    in: ['upstream'],
    args: [],
    many: true,
    doc: 'The server with the fewest connections for its weight; among equals by turns.',
    differs: 'Connections, tunnels among them, are counted over all workers.',
  },
  least_time: {
    in: ['upstream'],
    args: [oneOf('measure', 'header', 'last_byte'), optional(saying(literal('inflight'), invalid))],
    doc: 'The server with the least average time, until the head of an answer (`header`) or all of it (`last_byte`), for its connections and its weight. `inflight`: requests under way count too.',
    differs: 'A tunnel counts with the time until its 101; nginx takes all its life for the time of an answer.',
    since: '1.31.0',
  },
  random: {
    in: ['upstream'],
    args: [optional(saying(literal('two'), invalid)), optional(twoMethod)],
    many: true,
    doc: 'Any server, by weight. `two`: the better of two such, which is the one with fewer connections (`least_conn`), or the quicker one (`least_time=header`, `least_time=last_byte`).',
    differs: '`least_time` is there; in nginx it is part of the commercial subscription.',
  },
});

type Set = SetOf<typeof methodTable>;

/** Those that can have backup servers, and servers that start slowly. */
const WITH_BACKUP: ReadonlySet<string> = new Set(['least_conn', 'least_time']);

/** The method in force: the last one that stands there. undefined: none. */
export function methodOf(set: Set, { block }: Level, workshop: Workshop): BalancerSettings | undefined {
  const last = block.directives.findLast(
    ({ name, declaredBy }) => Object.hasOwn(methodTable, name) && declaredBy !== undefined,
  );
  switch (last?.name) {
    case 'hash':
      return hashOf(set, workshop);
    case 'ip_hash':
      return { kind: 'ip-hash' };
    case 'least_conn':
      return { kind: 'least-conn' };
    case 'least_time':
      return set.least_time && { kind: 'least-time', ...timingOf(set.least_time) };
    case 'random':
      return randomOf(set);
    default:
      return undefined;
  }
}

function timingOf({ measure, inflight }: NonNullable<Set['least_time']>): Timing {
  return { measure: measure === 'header' ? 'header' : 'last byte', inflight: inflight !== undefined };
}

function hashOf({ hash }: Set, workshop: Workshop): BalancerSettings | undefined {
  const last = hash.at(-1);
  if (last === undefined) return undefined;
  return { kind: last.consistent === undefined ? 'hash' : 'consistent-hash', key: workshop.text(last.key) };
}

function randomOf({ random }: Set): BalancerSettings {
  const last = random.at(-1);
  if (last?.two === undefined) return { kind: 'random' };
  return last.method ?? { kind: 'random-two' };
}

/** What depends on the order of lines: a method that takes the place of another, and what the method above a server cannot do. */
export function checkOrder({ block }: Level, workshop: Workshop): void {
  let method: Directive | undefined;
  let wrapper: Directive | undefined;
  for (const directive of block.directives) {
    if (directive.name === 'sticky' || directive.name === 'queue') wrapper ??= directive;
    else if (directive.name === 'server') checkServer(directive, method, workshop);
    else if (Object.hasOwn(methodTable, directive.name)) {
      if (wrapper !== undefined) warnOfOrder(wrapper, directive, workshop);
      else if (method !== undefined) workshop.warn('load balancing method redefined', directive.at);
      method = directive;
    }
  }
}

/** @param wrapper what stands around the method, and so has to stand behind it */
function warnOfOrder(wrapper: Directive, { name, at }: Directive, workshop: Workshop): void {
  const mend = `put "${wrapper.name}" behind "${name}": nginx drops it in this order; here it stays in force`;
  workshop.warn('load balancing method redefined', at, mend);
}

/** Nor have others a way to start a server slowly: they do not count what each of them gets. */
function checkServer({ args }: Directive, method: Directive | undefined, workshop: Workshop): void {
  if (method === undefined || WITH_BACKUP.has(method.name)) return;
  const wrong = args.slice(1).find(({ text }) => text === 'backup' || text.startsWith('slow_start='));
  if (wrong !== undefined) workshop.error(`balancing method does not support parameter "${wrong.text}"`, wrong.at);
}

// Zones of `limit_conn_zone` and `limit_req_zone`: a key, and a table in shared memory that outlives a reload.

import { ConfigError } from '../config/errors.ts';
import { parseSize } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import { argument, oneOf } from '../config/values.ts';
import type { Level as LogLevel } from '../diagnostics/error-log.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import type { HttpDraft } from './draft.ts';
import { noteOf } from './note-of.ts';
import { declareZone, SMALLEST_ZONE } from './zone-names.ts';

export interface LimitZone<Table> {
  readonly name: string;
  readonly key: Text;
  /** As written. */
  readonly keyText: string;
  readonly table: Table;
}

interface ZoneSize {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** Reads `zone=NAME:SIZE`; undefined where the text begins otherwise. */
export function readZoneSize(text: string): ZoneSize | undefined {
  if (!text.startsWith('zone=')) return undefined;
  const colon = text.indexOf(':');
  const size = colon < 0 ? undefined : parseSize(text.slice(colon + 1), 'km');
  if (size === undefined) throw new ConfigError(`invalid zone size "${text}"`);
  if (size < SMALLEST_ZONE) throw new ConfigError(`zone "${text}" is too small`);
  return { name: text.slice('zone='.length, colon), size };
}

export interface WrittenLimitZone extends ZoneSize {
  readonly key: Template;
  readonly at: Position;
}

/** A line that limits by a zone. */
export interface WrittenLimit {
  /** The zone's name. */
  readonly zone: string;
  readonly at: Position;
}

interface LimitIn<Table> {
  readonly zone: LimitZone<Table>;
}

type Use = 'limit_conn' | 'limit_req';

/**
 * The zones of one kind, by name. Another key is another table: what was counted by the old one means nothing by the new one.
 * @param open makes the table, in memory of that name and size
 */
export class LimitZones<Table> {
  readonly #use: Use;
  readonly #key: symbol;
  readonly #limits = new WeakMap<object, readonly LimitIn<Table>[]>();

  constructor(use: Use) {
    this.#use = use;
    this.#key = Symbol(`zones of ${use}`);
  }

  add(http: HttpDraft, zone: WrittenLimitZone, open: (identity: string, bytes: number) => Table): LimitZone<Table> {
    const { name, size, key, at } = zone;
    const zones = this.#of(http);
    if (name === '') throw new ConfigError(`"${this.#use}_zone" must have "zone" parameter`, at);
    const former = zones.get(name);
    if (former !== undefined)
      throw new ConfigError(`${this.#use}_zone "${name}" is already bound to key "${former.keyText}"`, at);
    declareZone(http, { name, size, use: this.#use, at });
    const table = open(`${this.#use}\n${name}\n${size}\n${key.text}`, size);
    const made = { name, key: http.workshop.text(key), keyText: key.text, table };
    zones.set(name, made);
    return made;
  }

  /** @throws ConfigError where there is no such zone, or it is another module's */
  find(http: HttpDraft, name: string, at: Position): LimitZone<Table> {
    const zone = this.#of(http).get(name);
    if (zone !== undefined) return zone;
    declareZone(http, { name, size: 0, use: this.#use, at });
    const mend = `a "${this.#use}_zone" must say how large it is`;
    throw new ConfigError(`zero size shared memory zone "${name}"`, at, { mend });
  }

  /**
   * The limits of a level, each in a zone of its own. Made once for the level where they stand, whoever takes them from there.
   * @param make what is to be known of a limit, from its line and its zone
   */
  limits<Written extends WrittenLimit, Limit extends LimitIn<Table>>(
    written: readonly Written[],
    http: HttpDraft,
    make: (line: Written, zone: LimitZone<Table>) => Limit,
  ): readonly Limit[] {
    const known = this.#limits.get(written) as readonly Limit[] | undefined;
    if (known !== undefined) return known;
    const limits: Limit[] = [];
    for (const line of written) {
      http.workshop.problems.attempt(() => {
        const zone = this.find(http, line.zone, line.at);
        if (limits.some((other) => other.zone === zone))
          throw new ConfigError(`"${this.#use}" directive is duplicate`, line.at);
        limits.push(make(line, zone));
      });
    }
    this.#limits.set(written, limits);
    return limits;
  }

  #of(http: HttpDraft): Map<string, LimitZone<Table>> {
    return noteOf(http, this.#key, () => new Map<string, LimitZone<Table>>());
  }
}

/** What a limit does with a request that is over it. */
export interface Refusal {
  readonly status: number;
  readonly logLevel: LogLevel;
  readonly dryRun: boolean;
}

/** The key of an exchange in a zone; '' where it is not limited by it. */
export function limitKey({ key, keyText }: LimitZone<unknown>, exchange: Exchange, longest: number): string {
  const value = key(exchange);
  if (value.length <= longest) return value;
  exchange.log('error', `the value of the "${keyText}" key is more than ${longest} bytes: "${value}"`);
  return '';
}

/** The status of a refusal. */
export const limitStatus = argument('code', 'code', (text) => {
  const code = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  if (code === undefined) throw new ConfigError('invalid number');
  if (code < 400 || code > 599) throw new ConfigError('value must be between 400 and 599');
  return code;
});

export const limitLogLevel = oneOf('level', 'info', 'notice', 'warn', 'error');

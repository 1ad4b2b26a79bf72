// map: a variable made from another one.
// https://nginx.org/en/docs/http/ngx_http_map_module.html

import { MatchTimeout } from '../config/bounded-regexp.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString, lowerCase } from '../config/source.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import type { Argument, Block, Directive } from '../config/tree.ts';
import { integer, template, variableName } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { keepCaptures } from '../route/captures.ts';
import { ServerNames } from '../route/server-names.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { defineCaptures } from './named-captures.ts';

const TABLES = { in: ['http'], effect: 'no effect', doc: 'Tables grow as they need.' } as const;

export const map = nginxModule('http_map', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_map_module.html',
  directives: directives({
    map: {
      in: ['http'],
      args: [template('string'), variableName('variable')],
      many: true,
      block: 'raw',
      doc: 'Defines a variable whose value is looked up by that of a string: exact values, `~regex`, `default`; `hostnames` lets values be masks; `volatile` computes it each time.',
    },
    map_hash_max_size: { ...TABLES, args: [integer('size')] },
    map_hash_bucket_size: { ...TABLES, args: [integer('size')] },
  }),
  http(set, { workshop }) {
    for (const { string, variable, block, at } of set.map) {
      workshop.problems.attempt(() => {
        const { get, volatile } = new MapReader(workshop).read(string, block);
        workshop.variables.define(variable, get, { at, cached: true, volatile, changeable: true });
      });
    }
  },
});

type Value = (exchange: Exchange) => string;

interface Pattern {
  readonly pattern: RegExp;
  readonly value: Value;
}

const EMPTY: Value = () => '';
const NONE: readonly Pattern[] = [];

/** Reads the lines of one map; each mistake is told, and the other lines are read all the same. */
class MapReader {
  readonly #workshop: Workshop;
  readonly #exact = new Map<string, Value>();
  readonly #masks = new ServerNames<Value | undefined>(undefined);
  readonly #patterns: Pattern[] = [];
  #default: Value | undefined = undefined;
  #hostnames = false;
  #volatile = false;

  constructor(workshop: Workshop) {
    this.#workshop = workshop;
  }

  read(string: Template, block: Block): { get: Value; volatile: boolean } {
    for (const line of block.directives) this.#workshop.problems.attempt(() => this.#line(line));
    return { get: this.#lookup(this.#workshop.text(string)), volatile: this.#volatile };
  }

  #line({ name, args, at }: Directive): void {
    const [only, second] = args;
    if (only === undefined && name === 'hostnames') this.#hostnames = true;
    else if (only === undefined && name === 'volatile') this.#volatile = true;
    else if (only === undefined || second !== undefined)
      throw new ConfigError('invalid number of the map parameters', at);
    else this.#entry(name, this.#value(only), at);
  }

  #value({ text, at }: Argument): Value {
    return this.#workshop.text(parseTemplate(text, at));
  }

  #entry(source: string, value: Value, at: Directive['at']): void {
    if (source === 'default') this.#setDefault(value, at);
    else if (source.startsWith('~')) this.#pattern(source.slice(1), value, at);
    else this.#text(source.startsWith('\\') ? source.slice(1) : source, value, at);
  }

  #setDefault(value: Value, at: Directive['at']): void {
    if (this.#default !== undefined) throw new ConfigError('duplicate default map parameter', at);
    this.#default = value;
  }

  #pattern(source: string, value: Value, at: Directive['at']): void {
    const insensitive = source.startsWith('*');
    const { regexp } = compilePattern(insensitive ? source.slice(1) : source, { insensitive, at });
    defineCaptures(this.#workshop, regexp);
    this.#patterns.push({ pattern: regexp, value });
  }

  #text(source: string, value: Value, at: Directive['at']): void {
    const text = lowerCase(byteString(source));
    if (this.#hostnames && /\*|^\../.test(text)) this.#mask(source, text, value, at);
    else if (this.#exact.has(text)) throw new ConfigError(`conflicting parameter "${source}"`, at);
    else this.#exact.set(text, value);
  }

  /** `.example.org` stands for `example.org`, too. */
  #mask(source: string, text: string, value: Value, at: Directive['at']): void {
    const masks = this.#masks;
    const [conflicts, invalid] = [masks.conflicts.length, masks.invalid.length];
    masks.add({ text, pattern: undefined }, value);
    if (masks.invalid.length > invalid) throw new ConfigError(`invalid hostname or wildcard "${source}"`, at);
    const bare = text.startsWith('.') ? text.slice(1) : undefined;
    if (masks.conflicts.length > conflicts || (bare !== undefined && this.#exact.has(bare)))
      throw new ConfigError(`conflicting parameter "${source}"`, at);
    if (bare !== undefined) this.#exact.set(bare, value);
  }

  /** In nginx's order: exact, masks, expressions; an empty value is never held against an expression. */
  #lookup(string: Text): Value {
    const exact = this.#exact;
    const patterns = this.#patterns;
    const otherwise = this.#default ?? EMPTY;
    const masks = this.#hostnames ? this.#masks : undefined;
    return (exchange) => {
      const key = masks === undefined ? string(exchange) : withoutDot(string(exchange));
      const lower = lowerCase(key);
      const found = exact.get(lower) ?? masks?.find(lower);
      if (found !== undefined) return found(exchange);
      for (const { pattern, value } of key === '' ? NONE : patterns) {
        const match = matchOf(exchange, pattern, key);
        if (match === GIVEN_UP) return otherwise(exchange);
        if (match === null) continue;
        keepCaptures(exchange, match);
        return value(exchange);
      }
      return otherwise(exchange);
    };
  }
}

const GIVEN_UP = Symbol('an expression took too long');

/** An expression that took too long leads to the default, as one that PCRE gives up does in nginx. */
function matchOf(exchange: Exchange, pattern: RegExp, key: string): RegExpExecArray | null | typeof GIVEN_UP {
  try {
    return pattern.exec(key);
  } catch (error) {
    if (!(error instanceof MatchTimeout)) throw error;
    exchange.log('error', error.message);
    return GIVEN_UP;
  }
}

/** The name of a host may end in a dot. */
const withoutDot = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name);

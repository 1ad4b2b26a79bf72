// map: a variable made from another one.
// https://nginx.org/en/docs/http/ngx_http_map_module.html

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import type { Block, Directive } from '../config/tree.ts';
import { integer, template, variableName } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { keepCaptures } from '../route/captures.ts';
import { compileServerNames } from '../route/server-names.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { defineCaptures } from './named-captures.ts';

const table = directives({
  map: {
    in: ['http'],
    args: [template('string'), variableName('variable')],
    many: true,
    block: 'raw',
    doc: 'Defines a variable whose value is looked up by that of a string: exact values, `~regex`, `default`; `hostnames` lets values be masks; `volatile` computes it each time.',
  },
  map_hash_max_size: { in: ['http'], args: [integer('size')], effect: 'no effect', doc: 'Tables grow as they need.' },
  map_hash_bucket_size: {
    in: ['http'],
    args: [integer('size')],
    effect: 'no effect',
    doc: 'Tables grow as they need.',
  },
});

export const map = nginxModule('http_map', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_map_module.html',
  directives: table,
  http(set, draft) {
    for (const { string, variable, block, at } of set.map) {
      draft.workshop.problems.attempt(() => {
        const { get, volatile } = new MapReader(draft.workshop).read(string, block);
        draft.workshop.variables.define(variable, get, { at, cached: true, volatile, changeable: true });
      });
    }
  },
});

type Value = (exchange: Exchange) => string | undefined;

class MapReader {
  readonly #workshop: Workshop;
  readonly #exact = new Map<string, Value>();
  readonly #patterns: { pattern: RegExp; value: Value }[] = [];
  readonly #masks: { text: string; value: Value }[] = [];
  #default: Value = () => '';
  #hasDefault = false;
  #hostnames = false;
  #volatile = false;

  constructor(workshop: Workshop) {
    this.#workshop = workshop;
  }

  read(string: Template, block: Block): { get: Value; volatile: boolean } {
    for (const line of block.directives) this.#workshop.problems.attempt(() => this.#line(line));
    return { get: this.#lookup(this.#workshop.text(string)), volatile: this.#volatile };
  }

  #line({ name, args, at, block }: Directive): void {
    if (block !== undefined) throw new ConfigError('unexpected "{"', at);
    if (args.length === 0 && name === 'hostnames') this.#hostnames = true;
    else if (args.length === 0 && name === 'volatile') this.#volatile = true;
    else if (args.length !== 1) throw new ConfigError('invalid number of the map parameters', at);
    else this.#entry(name, parseTemplate(args[0]?.text ?? '', args[0]?.at ?? at), at);
  }

  #entry(written: string, template: Template, at: Directive['at']): void {
    const value = this.#value(template);
    if (written === 'default') {
      if (this.#hasDefault) throw new ConfigError('duplicate default map parameter', at);
      this.#hasDefault = true;
      this.#default = value;
    } else if (written.startsWith('~')) this.#pattern(written.slice(1), value, at);
    else this.#text(written.startsWith('\\') ? written.slice(1) : written, value, at);
  }

  /** A value is a string with variables, or just one variable, which then keeps being "not found". */
  #value(template: Template): Value {
    const [only] = template.parts;
    if (template.parts.length !== 1 || typeof only !== 'object' || !('variable' in only))
      return this.#workshop.text(template);
    const slot = this.#workshop.variables.slot(only.variable, only.at);
    return (exchange) => slot.get(exchange);
  }

  #pattern(written: string, value: Value, at: Directive['at']): void {
    const insensitive = written.startsWith('*');
    const { regexp } = compilePattern(insensitive ? written.slice(1) : written, { insensitive, at });
    defineCaptures(this.#workshop, regexp);
    this.#patterns.push({ pattern: regexp, value });
  }

  #text(written: string, value: Value, at: Directive['at']): void {
    const text = byteString(written).toLowerCase();
    if (this.#hostnames && /[*]|^\./.test(text)) this.#masks.push({ text, value });
    else if (this.#exact.has(text)) throw new ConfigError(`conflicting parameter "${written}"`, at);
    else this.#exact.set(text, value);
  }

  #lookup(string: Text): Value {
    const exact = this.#exact;
    const patterns = this.#patterns;
    const otherwise = this.#default;
    const masks = this.#compileMasks();
    return (exchange) => {
      const key = string(exchange);
      const lower = key.toLowerCase();
      const found = exact.get(lower) ?? masks?.(lower);
      if (found !== undefined) return found(exchange);
      for (const { pattern, value } of patterns) {
        const match = pattern.exec(key);
        if (match === null) continue;
        keepCaptures(exchange, match);
        return value(exchange);
      }
      return otherwise(exchange);
    };
  }

  #compileMasks(): ((host: string) => Value | undefined) | undefined {
    if (this.#masks.length === 0) return undefined;
    const entries = this.#masks.map(({ text, value }) => ({ names: [{ text, pattern: undefined }], server: value }));
    const names = compileServerNames<Value | undefined>(entries, undefined);
    const exact = this.#exact;
    // With `hostnames` a dot at the end of the name does not count.
    return (host) => {
      const name = host.endsWith('.') ? host.slice(0, -1) : host;
      return exact.get(name) ?? names.find(name);
    };
  }
}

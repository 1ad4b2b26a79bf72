// referer: whether a request comes from a page that is known, by what its Referer says.
// https://nginx.org/en/docs/http/ngx_http_referer_module.html

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString, lowerCase } from '../config/source.ts';
import type { Argument } from '../config/tree.ts';
import { argument, integer, rest } from '../config/values.ts';
import type { Exchange, LocationSettings } from '../exchange/exchange.ts';
import { type ServerName, ServerNames } from '../route/server-names.ts';
import type { Level, LocationDraft } from './draft.ts';
import { nginxModule } from './module.ts';

const TABLES = { in: ['server', 'location'], effect: 'no effect', doc: 'Tables grow as they need.' } as const;

/** One argument of `valid_referers`. */
type Written =
  | { readonly kind: 'none' | 'blocked' | 'server_names' }
  | { readonly kind: 'pattern'; readonly pattern: RegExp }
  | { readonly kind: 'name'; readonly text: string; readonly uri: string };

const refererKind = argument('referer', 'none | blocked | server_names | name | ~regex', readReferer);

export const referer = nginxModule('http_referer', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_referer_module.html',
  directives: directives({
    valid_referers: {
      in: ['server', 'location'],
      args: [rest(refererKind)],
      many: true,
      doc: 'From where a request may come for `$invalid_referer` to be empty: without a Referer (`none`), with one that is no URL (`blocked`), from our own names (`server_names`), from a name, perhaps with the beginning of a path, or from what an expression fits.',
    },
    referer_hash_max_size: { ...TABLES, args: [integer('size')] },
    referer_hash_bucket_size: { ...TABLES, args: [integer('size')] },
  }),
  variables: {
    invalid_referer: (exchange) => (ofLocation.get(exchange.location)?.(exchange) === false ? '1' : ''),
  },
  location(set, draft, level) {
    const lines = set.valid_referers;
    if (lines.length === 0) return;
    const check = checks.get(lines) ?? checkFor(lines, draft, level);
    checks.set(lines, check);
    ofLocation.set(draft.settings, check);
  },
});

type Check = (exchange: Exchange) => boolean;

/** Of a location: whether an exchange comes from where it may. None: it may come from anywhere. */
const ofLocation = new WeakMap<LocationSettings, Check>();
/** What lines mean, made once, whoever takes them from the level where they stand. */
const checks = new WeakMap<object, Check>();

function readReferer(text: string, { at }: Argument): Written {
  if (text === '') throw new ConfigError('invalid referer ""');
  if (text === 'none' || text === 'blocked' || text === 'server_names') return { kind: text };
  if (text === '~') throw new ConfigError('empty regex in "~"');
  if (text.startsWith('~'))
    return { kind: 'pattern', pattern: compilePattern(text.slice(1), { insensitive: true, at }).regexp };
  const slash = text.indexOf('/');
  if (slash < 0) return { kind: 'name', text, uri: '' };
  return { kind: 'name', text: text.slice(0, slash), uri: byteString(text.slice(slash)) };
}

function checkFor(lines: readonly (readonly Written[])[], { server, workshop }: LocationDraft, level: Level): Check {
  const names = new RefererNames();
  const at = level.at('valid_referers');
  for (const written of lines.flat()) {
    if (written.kind === 'name') names.add(written.text, written.uri);
    else if (written.kind === 'pattern') names.patterns.push(written.pattern);
    else if (written.kind === 'server_names') for (const name of server.names) names.addServerName(name);
    else names[written.kind] = true;
  }
  for (const name of names.conflicts) workshop.error(`conflicting parameter "${name}"`, at);
  for (const name of names.invalid) workshop.error(`invalid hostname or wildcard "${name}"`, at);
  if ((names.none || names.blocked) && names.isEmpty)
    workshop.error(
      'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer',
      at,
    );
  return ({ head }) => names.has(head.headers.get('referer'));
}

/** nginx takes nothing shorter for a URL. */
const SHORTEST_URL = 'http://i.ru'.length;
const LONGEST_HOST = 256;
const URL_PARTS = /^https?:\/\/(([^/:]*)[^/]*(.*))$/is;

class RefererNames {
  none = false;
  blocked = false;
  /** Held against the URL without its scheme. */
  readonly patterns: RegExp[] = [];
  /** Held against the host. */
  readonly #hostPatterns: RegExp[] = [];
  /** The beginning that the path must have, by host. */
  readonly #names = new ServerNames<string | undefined>(undefined);
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get conflicts(): readonly string[] {
    return this.#names.conflicts;
  }

  get invalid(): readonly string[] {
    return this.#names.invalid;
  }

  add(text: string, uri: string): void {
    this.#count++;
    this.#names.add({ text: byteString(text), pattern: undefined }, uri);
  }

  addServerName({ text, pattern }: ServerName): void {
    if (pattern === undefined) this.add(text, '');
    else this.#hostPatterns.push(pattern);
  }

  has(value: string | undefined): boolean {
    if (value === undefined) return this.none;
    const parts = value.length < SHORTEST_URL ? null : URL_PARTS.exec(value);
    if (parts === null) return this.blocked;
    const [, rest = '', host = '', path = ''] = parts;
    if (host.length > LONGEST_HOST) return false;
    const lower = lowerCase(host);
    const uri = this.#names.find(lower);
    if (uri !== undefined) return path.startsWith(uri);
    return this.#hostPatterns.some((pattern) => pattern.test(lower)) || this.patterns.some((one) => one.test(rest));
  }
}

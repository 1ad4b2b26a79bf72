// sticky: what binds a client to a server of its group, as written and as the upstream takes it.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#sticky

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseSize, parseTime } from '../config/quantities.ts';
import { byteString, lowerCase } from '../config/source.ts';
import { parseTemplate } from '../config/template.ts';
import type { Argument, Position } from '../config/tree.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Text } from '../exchange/settings.ts';
import type { StickySettings } from '../upstream/balance/stickiness.ts';
import { SAME_SITE } from '../upstream/balance/sticky-cookie.ts';
import { requestCookie } from './cookies.ts';
import type { UpstreamDraft, Workshop } from './draft.ts';
import { declareZone, SMALLEST_ZONE } from './zone-names.ts';

interface WrittenCookie {
  readonly kind: 'cookie';
  readonly name: string;
  readonly expires?: number | 'max';
  readonly domain?: Argument;
  readonly path?: string;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  readonly sameSite?: Argument;
}

interface WrittenLearn {
  readonly kind: 'learn';
  readonly creates: readonly Argument[];
  readonly lookups: readonly Argument[];
  readonly zone: { readonly name: string; readonly size: number; readonly at: Position };
  readonly timeout: number;
  readonly header: boolean;
}

interface WrittenRoute {
  readonly kind: 'route';
  /** None: bare `sticky route`. */
  readonly lookups: readonly Argument[];
}

interface WrittenEngineio {
  readonly kind: 'engineio';
  readonly zone: WrittenLearn['zone'] | undefined;
  readonly timeout: number;
}

type WrittenKind = WrittenCookie | WrittenLearn | WrittenRoute | WrittenEngineio;
type Written = WrittenKind & { readonly at: Position };

/** nginx's default `timeout` of learn: 10 minutes, in ms. */
const SESSION_TIMEOUT = 600_000;
/** Bytes of a zone of engineio that has none of its own: some 25 000 sessions at a time. */
const ENGINEIO_ZONE = 4 * 1024 * 1024;

export const stickyKind: Kind<'sticky', Written> = {
  name: 'sticky',
  syntax: 'cookie name [parameters] | route [$variable ...] | learn parameters | engineio [parameters]',
  takes: 'rest',
  parse: (args) => {
    const [kind, ...rest] = args as readonly [Argument, ...Argument[]];
    return { ...readKind(kind, rest), at: kind.at };
  },
};

function readKind(kind: Argument, rest: readonly Argument[]): WrittenKind {
  switch (kind.text) {
    case 'cookie':
      return readCookie(kind, rest);
    case 'route':
      return { kind: 'route', lookups: rest.map(readVariable) };
    case 'learn':
      return new LearnReader(kind).read(rest);
    case 'engineio':
      return readEngineio(rest);
    default:
      throw new ConfigError(`unknown parameter "${kind.text}"`, kind.at, {
        mend: 'it must be cookie, route, learn or engineio',
      });
  }
}

const tooFew = ({ at }: Argument): ConfigError =>
  new ConfigError('invalid number of arguments in "sticky" directive', at);

/** nginx's way of wording what is wrong with a whole directive. */
const wrong = (what: string, { at }: Argument): ConfigError => new ConfigError(`"sticky" directive ${what}`, at);

function readVariable(given: Argument): Argument {
  if (!given.text.startsWith('$')) throw new ConfigError(`invalid variable name "${given.text}"`, given.at);
  return given;
}

/** What follows the `=` of a parameter, as an argument of its own. */
function afterEquals({ text, quoted, at }: Argument): Argument {
  return { text: text.slice(text.indexOf('=') + 1), quoted, at };
}

function readCookie(kind: Argument, [name, ...parameters]: readonly Argument[]): WrittenCookie {
  if (name === undefined) throw tooFew(kind);
  if (name.text === '') throw wrong('empty cookie name', name);
  const seen = new Set<string>();
  const written: { -readonly [Key in keyof WrittenCookie]: WrittenCookie[Key] } = {
    kind: 'cookie',
    name: byteString(name.text),
    httpOnly: false,
    secure: false,
  };
  for (const given of parameters) readCookieParameter(written, given, seen);
  return written;
}

function readCookieParameter(
  written: { -readonly [Key in keyof WrittenCookie]: WrittenCookie[Key] },
  given: Argument,
  seen: Set<string>,
): void {
  const key = /^(?:domain|path|expires|samesite)(?==)|^(?:httponly|secure)$/.exec(given.text)?.[0];
  if (key === undefined) throw new ConfigError(`unknown parameter "${given.text}"`, given.at);
  if (seen.has(key)) throw wrong(`parameter "${key}" is duplicate`, given);
  seen.add(key);
  const value = afterEquals(given);
  if (value.text === '' && (key === 'domain' || key === 'path')) throw wrong(`no value for "${key}"`, given);
  if (key === 'httponly') written.httpOnly = true;
  else if (key === 'secure') written.secure = true;
  else if (key === 'path') written.path = byteString(value.text);
  else if (key === 'domain') written.domain = value;
  else if (key === 'expires') written.expires = readExpires(value);
  else written.sameSite = readSameSite(value);
}

function readExpires(value: Argument): number | 'max' {
  if (value.text === 'max') return 'max';
  const ms = parseTime(value.text, 's');
  if (ms === undefined) throw wrong('invalid "expires" parameter value', value);
  return ms / 1000;
}

function readSameSite(value: Argument): Argument {
  if (!value.text.includes('$') && !SAME_SITE.test(value.text))
    throw wrong('invalid "samesite" parameter value', value);
  return value;
}

class LearnReader {
  readonly #kind: Argument;
  readonly #creates: Argument[] = [];
  readonly #lookups: Argument[] = [];
  #zone: WrittenLearn['zone'] | undefined = undefined;
  #timeout: number | undefined = undefined;
  #header = false;

  constructor(kind: Argument) {
    this.#kind = kind;
  }

  read(parameters: readonly Argument[]): WrittenLearn {
    if (parameters.length === 0) throw tooFew(this.#kind);
    for (const given of parameters) this.#readParameter(given);
    if (this.#lookups.length === 0) throw this.#missing('lookup');
    if (this.#creates.length === 0) throw this.#missing('create');
    if (this.#zone === undefined) throw this.#missing('zone');
    return {
      kind: 'learn',
      creates: this.#creates,
      lookups: this.#lookups,
      zone: this.#zone,
      timeout: this.#timeout ?? SESSION_TIMEOUT,
      header: this.#header,
    };
  }

  #missing(parameter: string): ConfigError {
    return wrong(`"${parameter}" parameter is not specified`, this.#kind);
  }

  #readParameter(given: Argument): void {
    const { text } = given;
    if (text.startsWith('zone=')) this.#readZone(given);
    else if (text.startsWith('timeout=')) this.#readTimeout(given);
    else if (text.startsWith('create=')) this.#creates.push(this.#variable(given, 'create'));
    else if (text.startsWith('lookup=')) this.#lookups.push(this.#variable(given, 'lookup'));
    else if (text === 'header') this.#header = true;
    else throw new ConfigError(`unknown parameter "${text}"`, given.at);
  }

  #variable(given: Argument, parameter: string): Argument {
    const value = afterEquals(given);
    if (!value.text.startsWith('$')) throw wrong(`missing variable in the "${parameter}" parameter`, given);
    return value;
  }

  #readTimeout(given: Argument): void {
    if (this.#timeout !== undefined) throw wrong('duplicate timeout', given);
    this.#timeout = readTimeout(given);
  }

  #readZone(given: Argument): void {
    if (this.#zone !== undefined) throw wrong('duplicate zone', given);
    this.#zone = readZone(given);
  }
}

function readTimeout(given: Argument): number {
  const ms = parseTime(afterEquals(given).text, 'ms');
  if (ms === undefined || ms === 0) throw wrong('invalid timeout', given);
  return ms;
}

function readZone(given: Argument): WrittenLearn['zone'] {
  const { text } = afterEquals(given);
  const colon = text.indexOf(':');
  if (colon < 0) throw wrong('zone size is not specified', given);
  if (colon === 0) throw wrong('zone name is not specified', given);
  const size = parseSize(text.slice(colon + 1), 'km');
  if (size === undefined) throw wrong('invalid zone size', given);
  if (size < SMALLEST_ZONE) throw wrong('zone is too small', given);
  return { name: text.slice(0, colon), size, at: given.at };
}

function readEngineio(parameters: readonly Argument[]): WrittenEngineio {
  let zone: WrittenEngineio['zone'];
  let timeout: number | undefined;
  for (const given of parameters) {
    const name = /^(zone|timeout)=/.exec(given.text)?.[1];
    if (name === undefined) throw new ConfigError(`unknown parameter "${given.text}"`, given.at);
    if ((name === 'zone' ? zone : timeout) !== undefined) throw wrong(`duplicate ${name}`, given);
    if (name === 'zone') zone = readZone(given);
    else timeout = readTimeout(given);
  }
  return { kind: 'engineio', zone, timeout: timeout ?? SESSION_TIMEOUT };
}

export function stickySettings(written: Written, draft: UpstreamDraft): StickySettings {
  switch (written.kind) {
    case 'cookie':
      return cookieSettings(written, draft.workshop);
    case 'learn':
      return learnSettings(written, draft);
    case 'route':
      return routeSettings(written, draft.workshop);
    case 'engineio':
      return engineioSettings(written, draft);
  }
}

function textOf({ text, at }: Argument, workshop: Workshop): Text {
  return workshop.text(parseTemplate(text, at));
}

/** A variable and nothing else: `$a$b` is the name of none. */
function variableOf(given: Argument, workshop: Workshop): Text {
  const name = given.text.slice(1);
  if (!/^\w+$/.test(name)) throw new ConfigError(`unknown "${name}" variable`, given.at);
  return textOf(given, workshop);
}

function cookieSettings(written: WrittenCookie, workshop: Workshop): StickySettings {
  const { name, domain, sameSite } = written;
  return {
    kind: 'cookie',
    name,
    lookup: cookieNamed(name),
    expires: written.expires,
    domain: domain === undefined ? undefined : textOf(domain, workshop),
    path: written.path,
    httpOnly: written.httpOnly,
    secure: written.secure,
    sameSite: sameSite === undefined ? undefined : textOf(sameSite, workshop),
  };
}

function cookieNamed(name: string): Text {
  const lowerName = lowerCase(name);
  return (exchange: Exchange) => requestCookie(exchange.head.headers, lowerName) ?? '';
}

function routeSettings({ lookups, at }: WrittenRoute & { readonly at: Position }, workshop: Workshop): StickySettings {
  if (lookups.length > 0) return { kind: 'route', lookups: lookups.map((one) => variableOf(one, workshop)) };
  const own = (name: string): Text => workshop.text(parseTemplate(`$${name}`, at));
  return {
    kind: 'own cookie',
    cookie: own('cookie_route'),
    argument: own('arg_route'),
    key: workshop.secrets.stickyKey,
  };
}

const LEARNERS = Symbol('upstreams by the zone of their sessions');

function learnSettings(written: WrittenLearn, draft: UpstreamDraft): StickySettings {
  const { workshop, name } = draft;
  const { zone, creates, lookups, timeout, header } = written;
  claimZone(zone, draft);
  return {
    kind: 'learn',
    zone: zone.name,
    sessions: workshop.zones.cache(`sticky ${zone.name} of ${name}, ${zone.size} bytes`, zone.size),
    creates: creates.map((one) => variableOf(one, workshop)),
    lookups: lookups.map((one) => variableOf(one, workshop)),
    timeout,
    header,
  };
}

/** The sessions of an upstream are told by the peers of that one alone. */
function claimZone(zone: WrittenLearn['zone'], { http, name }: UpstreamDraft): void {
  declareZone(http, { ...zone, use: 'sticky sessions' });
  const learners = (http.notes.get(LEARNERS) as Map<string, string> | undefined) ?? new Map<string, string>();
  http.notes.set(LEARNERS, learners);
  const other = learners.get(zone.name);
  if (other !== undefined)
    throw new ConfigError(`sticky zone "${zone.name}" is already used in upstream "${other}"`, zone.at);
  learners.set(zone.name, name);
}

function engineioSettings(written: WrittenEngineio & { readonly at: Position }, draft: UpstreamDraft): StickySettings {
  const { workshop, name } = draft;
  if (written.zone !== undefined) claimZone(written.zone, draft);
  const zone = written.zone ?? { name, size: ENGINEIO_ZONE };
  const argument = (called: string): Text => workshop.text(parseTemplate(`$arg_${called}`, written.at));
  const session = argument('sid');
  return {
    kind: 'engineio',
    zone: zone.name,
    sessions: workshop.zones.cache(`sticky engineio ${zone.name} of ${name}, ${zone.size} bytes`, zone.size),
    version: argument('EIO'),
    session: (exchange) => percentDecoded(session(exchange)),
    timeout: written.timeout,
  };
}

const percentDecoded = (text: string): string =>
  text.includes('%')
    ? text.replace(/%([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
    : text;

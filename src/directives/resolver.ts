// resolver and resolver_timeout: who is asked for the addresses of names while requests are served.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver

import { isIPv6 } from 'node:net';
import { type Address, AddressError, parseAddress } from '../addresses.ts';
import { directives, type Kind, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Argument } from '../config/tree.ts';
import { argument, flag, seconds, time } from '../config/values.ts';
import type { NameServer } from '../resolver/lookup.ts';
import { Resolver } from '../resolver/resolver.ts';
import type { HttpDraft, UpstreamDraft } from './draft.ts';
import { noteOf } from './note-of.ts';

const DNS_PORT = 53;
const DEFAULT_TIMEOUT = 30_000;

interface WrittenResolver {
  readonly servers: readonly { readonly address: Address; readonly argument: Argument }[];
  /** ms */
  readonly valid: number | undefined;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

const invalid = ({ text, at }: Argument): ConfigError => new ConfigError(`invalid parameter: ${text}`, at);

/** Servers and parameters in any order. */
class ResolverReader {
  readonly #directive: string;
  #servers: { readonly address: Address; readonly argument: Argument }[] = [];
  #valid: number | undefined = undefined;
  #ipv4 = true;
  #ipv6 = true;

  constructor(directive: string) {
    this.#directive = directive;
  }

  read(args: readonly Argument[]): WrittenResolver {
    for (const one of args) this.#readOne(one);
    if (!this.#ipv4 && !this.#ipv6) throw new ConfigError('"ipv4" and "ipv6" cannot both be "off"');
    if (this.#servers.length === 0) throw new ConfigError('no name servers defined');
    return { servers: this.#servers, valid: this.#valid, ipv4: this.#ipv4, ipv6: this.#ipv6 };
  }

  #readOne(one: Argument): void {
    const [, name, value = ''] = /^(valid|ipv4|ipv6|status_zone)=(.*)$/s.exec(one.text) ?? [];
    const of = <T>(kind: Kind<string, T>): T => this.#value(one, value, kind);
    if (name === 'valid') this.#valid = of(seconds('time'));
    else if (name === 'ipv4') this.#ipv4 = of(flag);
    else if (name === 'ipv6') this.#ipv6 = of(flag);
    else if (name === undefined) this.#servers.push({ address: this.#address(one), argument: one });
  }

  #value<T>(one: Argument, text: string, kind: Kind<string, T>): T {
    try {
      return kind.parse([{ ...one, text }], this.#directive);
    } catch (error) {
      if (error instanceof ConfigError) throw invalid(one);
      throw error;
    }
  }

  #address({ text, at }: Argument): Address {
    try {
      return parseAddress(text, { defaultPort: DNS_PORT });
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      throw new ConfigError(`${error.message} in resolver "${text}"`, at);
    }
  }
}

const written: Kind<'resolver', WrittenResolver> = {
  ...argument('resolver', 'address ... [valid=time] [ipv4=on | off] [ipv6=on | off]', () => ({}) as WrittenResolver),
  takes: 'rest',
  parse: (args, directive) => new ResolverReader(directive).read(args),
};

const PLACES = ['http', 'server', 'location', 'upstream'] as const;

export const resolverDirectives = directives({
  resolver: {
    in: PLACES,
    args: [written],
    doc: 'Name servers (port 53 unless told) that are asked in turn for names that are only known while requests are served: of `proxy_pass` with variables, and of `server … resolve`. Answers are remembered for their time to live, or for `valid`. `ipv4=off`, `ipv6=off`: only the other kind of address is asked for.',
    differs: '`status_zone` has no effect. Each worker asks for itself.',
  },
  resolver_timeout: {
    in: PLACES,
    args: [time('time')],
    doc: 'How long an answer may take; default 30 s.',
  },
});

type Set = SetOf<typeof resolverDirectives>;

/** Who resolves names on a level, and how long that may take. */
export interface NameResolution {
  readonly resolver: Resolver;
  /** ms */
  readonly timeout: number;
}

const RESOLVERS = Symbol('resolvers');
const OF_UPSTREAM = Symbol('the resolver of an upstream');

/** undefined: there is none, or its own name is not known yet. The levels below a directive share the resolver that it makes. */
export function nameResolution(set: Set, http: HttpDraft): NameResolution | undefined {
  const { resolver: given, resolver_timeout: timeout = DEFAULT_TIMEOUT } = set;
  if (given === undefined) return undefined;
  const resolvers = noteOf(http, RESOLVERS, () => new WeakMap<WrittenResolver, Resolver | undefined>());
  if (!resolvers.has(given))
    resolvers.set(
      given,
      http.workshop.problems.attempt(() => makeResolver(given, http)),
    );
  const resolver = resolvers.get(given);
  return resolver === undefined ? undefined : { resolver, timeout };
}

/** For the modules of an upstream, which are asked after the core of http. */
export function noteResolution(set: Set, draft: UpstreamDraft): void {
  draft.notes.set(OF_UPSTREAM, nameResolution(set, draft.http));
}

export function notedResolution({ notes }: UpstreamDraft): NameResolution | undefined {
  return notes.get(OF_UPSTREAM) as NameResolution | undefined;
}

function makeResolver({ servers, valid, ipv4, ipv6 }: WrittenResolver, { workshop }: HttpDraft): Resolver | undefined {
  const found: NameServer[] = [];
  for (const { address, argument: given } of servers) {
    const hosts = address.family === 'name' ? workshop.lookUp(address.host) : [address.host];
    if (hosts === undefined) return undefined;
    if (hosts.length === 0) throw new ConfigError(`host not found in resolver "${given.text}"`, given.at);
    if (address.family === 'unix') throw new ConfigError(`invalid host in resolver "${given.text}"`, given.at);
    for (const host of hosts) found.push({ host, port: address.port });
  }
  const log = workshop.baseErrorLog;
  return new Resolver({ servers: found, valid, ipv4, ipv6 }, (complaint) => log.write('error', complaint));
}

/** An address that a name was resolved to, in the place of the name. */
export function resolvedAddress(where: Address, host: string, port = where.port): Address {
  return { ...where, host, port, family: isIPv6(host) ? 'ipv6' : 'ipv4' };
}

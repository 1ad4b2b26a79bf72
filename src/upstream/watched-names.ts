// nginx's `server NAME resolve`: the names of an upstream's servers, resolved again and again, and its peers changed as they change.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#resolve

import { isIPv6 } from 'node:net';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { HOST_NOT_FOUND, NO_ERROR, reasonOf } from '../resolver/resolve-error.ts';
import type { Resolver, ServiceAddress, Waiting } from '../resolver/resolver.ts';
import type { PeerSettings } from './peer.ts';

/** One `server … resolve`. */
export interface WatchedServer {
  readonly name: string;
  readonly port: number;
  /** `service=`: its SRV records say ports, weights, and who is a backup; undefined: the name's own addresses. */
  readonly service: string | undefined;
  /** What each of its peers has, but for address, name, and what a service says. */
  readonly template: Omit<PeerSettings, 'address' | 'name'>;
}

export interface WatchedNamesSettings {
  /** Peers that are always there; they come first. */
  readonly fixed: readonly PeerSettings[];
  readonly watched: readonly WatchedServer[];
  readonly resolver: Resolver;
  /** ms: `resolver_timeout`; after a failure it is also the time until the next try. */
  readonly timeout: number;
  readonly log: ErrorLog;
}

/** Not asked more often than this, whatever a time to live says, in ms. */
const SHORTEST_WAIT = 1_000;
/** A timer of Node can be set no further ahead, in ms. */
const LONGEST_WAIT = 2_147_483_647;

/** What a name has been resolved to. A port of 0 is the server's own. */
type Found = Pick<ServiceAddress, 'address' | 'port' | 'priority' | 'weight' | 'name'>;

/** One name as it is watched. */
class Watch {
  readonly server: WatchedServer;
  readonly #settings: WatchedNamesSettings;
  readonly #changed: (wasKnown: boolean) => void;
  found: readonly Found[];
  /** It has been answered before. */
  #isKnown: boolean;
  #validUntil: number;
  #timer: NodeJS.Timeout | undefined = undefined;
  #waiting: Waiting | undefined = undefined;

  /** @param former what an earlier configuration knew of the same name */
  constructor(
    server: WatchedServer,
    settings: WatchedNamesSettings,
    former: Watch | undefined,
    changed: (wasKnown: boolean) => void,
  ) {
    this.server = server;
    this.#settings = settings;
    this.#changed = changed;
    this.found = former?.found ?? [];
    this.#isKnown = former === undefined ? false : former.#isKnown;
    this.#validUntil = former === undefined ? 0 : former.#validUntil;
  }

  start(): void {
    const left = this.#validUntil - Date.now();
    if (left > 0) this.#wait(left);
    else this.#ask();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting?.cancel();
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#ask(), Math.min(Math.max(ms, 1), LONGEST_WAIT)).unref();
  }

  #ask(): void {
    const { name, service } = this.server;
    const { resolver, timeout } = this.#settings;
    if (service !== undefined) {
      this.#waiting = resolver.resolveService(name, service, timeout, ({ code, addresses, failures, validUntil }) => {
        for (const failure of failures) this.#complainOf(failure.name, failure.code, service);
        this.#take(code, addresses, validUntil);
      });
      return;
    }
    const take = (code: number, addresses: readonly string[], validUntil: number): void =>
      this.#take(code, addresses.map(plainFound), validUntil);
    const answer = resolver.resolveName(name, timeout, (later) => take(later.code, later.addresses, later.validUntil));
    if ('code' in answer) take(answer.code, answer.addresses, answer.validUntil);
    else this.#waiting = answer;
  }

  /** A name that does not exist has no peers; after any other failure those that it had go on. */
  #take(code: number, found: readonly Found[], validUntil: number): void {
    this.#waiting = undefined;
    if (code !== NO_ERROR) this.#complain(code);
    if (code !== NO_ERROR && code !== HOST_NOT_FOUND) {
      this.#wait(Math.max(this.#settings.timeout, SHORTEST_WAIT));
      return;
    }
    this.#validUntil = validUntil;
    // Before anything is told: whoever is told may stop this.
    this.#wait(Math.max(validUntil - Date.now() + 1, SHORTEST_WAIT));
    const sorted = inOrder(found);
    const wasKnown = this.#isKnown;
    this.#isKnown = true;
    if (textOfAll(sorted) === textOfAll(this.found)) return;
    this.found = sorted;
    this.#changed(wasKnown);
  }

  #complain(code: number): void {
    const { name, service } = this.server;
    const what = service === undefined ? name : `service ${service} of ${name}`;
    this.#settings.log.write('error', `${what} could not be resolved (${reasonOf(code)})`);
  }

  #complainOf(name: string, code: number, service: string): void {
    const where = `while resolving service ${service} of ${this.server.name}`;
    this.#settings.log.write('error', `${name} could not be resolved (${reasonOf(code)}) ${where}`);
  }
}

const plainFound = (address: string): Found => ({ address, port: 0, priority: 0, weight: 1, name: '' });

const textOf = ({ address, port, priority, weight, name }: Found): string =>
  `${address} ${port} ${priority} ${weight} ${name}`;

const textOfAll = (found: readonly Found[]): string => found.map(textOf).join(';');

/** The order of an answer changes from one to the next. All workers must have the same one: `hash` counts peers by their place. */
function inOrder(found: readonly Found[]): readonly Found[] {
  const keyed = found.map((one) => ({ one, text: textOf(one) }));
  return keyed.sort((a, b) => (a.text < b.text ? -1 : Number(a.text > b.text))).map(({ one }) => one);
}

/** All names of one upstream. */
export class WatchedNames {
  readonly #settings: WatchedNamesSettings;
  #watches: readonly Watch[] = [];

  constructor(settings: WatchedNamesSettings) {
    this.#settings = settings;
  }

  /** @param server as it is written */
  watches(server: string): boolean {
    return this.#settings.watched.some(({ template }) => template.server === server);
  }

  /**
   * Begins to watch.
   * @param former of the same upstream in an earlier configuration: what its names were resolved to is taken over, so that a reload finds no
   * upstream without peers
   * @param replace is given all peers whenever they have changed, and at once where something was taken over; and whether those that are
   * new have been added: the first answer to a name only tells who is there
   */
  start(
    former: WatchedNames | undefined,
    replace: (servers: readonly PeerSettings[], areAdded: boolean) => void,
  ): void {
    const changed = (wasKnown: boolean): void => replace(this.#servers(), wasKnown);
    const before = former === undefined ? [] : former.#watches;
    const known = new Map(before.map((watch) => [keyOf(watch.server), watch]));
    this.#watches = this.#settings.watched.map(
      (server) => new Watch(server, this.#settings, known.get(keyOf(server)), changed),
    );
    if (this.#watches.some(({ found }) => found.length > 0)) changed(true);
    for (const watch of this.#watches) watch.start();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  #servers(): PeerSettings[] {
    return [...this.#settings.fixed, ...this.#watches.flatMap(({ server, found }) => peersOf(server, found))];
  }
}

function keyOf({ name, service = '' }: WatchedServer): string {
  return `${name.toLowerCase()}\n${service}`;
}

function peersOf({ service, template, port }: WatchedServer, found: readonly Found[]): PeerSettings[] {
  if (service === undefined) return found.map(({ address }) => ({ ...template, ...placeOf(address, port) }));
  const first = Math.min(...found.map(({ priority }) => priority));
  const served = found.map((one) => ({
    ...template,
    ...placeOf(one.address, one.port),
    server: one.name,
    weight: template.weight === 1 ? one.weight : template.weight,
    backup: one.priority !== first,
  }));
  // Of a server that is a backup itself, only the most important records count, and are backups.
  return template.backup ? served.flatMap((one) => (one.backup ? [] : { ...one, backup: true })) : served;
}

function placeOf(host: string, port: number): Pick<PeerSettings, 'address' | 'name'> {
  return { address: { host, port }, name: isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}` };
}

// nginx's resolver: names to addresses by the servers of a configuration, remembered for their time to live.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver

import type { DnsAnswer, QueryType, ServiceRecord } from './dns-message.ts';
import { Lookup, type LookupWatcher, type NameServer } from './lookup.ts';
import { HOST_NOT_FOUND, NO_ERROR, SERVER_FAILURE, TIMED_OUT } from './resolve-error.ts';

export interface ResolverSettings {
  /** At least one; they are asked in turn. */
  readonly servers: readonly NameServer[];
  /** ms that an answer is good for, instead of its own time to live; undefined: its own. */
  readonly valid: number | undefined;
  /** Which addresses are asked for: at least one kind. Default: both. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** What became of a name. */
export interface NameAnswer {
  /** 0: it has addresses; else what went wrong, see resolve-error.ts. */
  readonly code: number;
  readonly addresses: readonly string[];
  /** By `Date.now()`: until then it need not be asked for again. */
  readonly validUntil: number;
}

/** An address of a service, with what its SRV record says. */
export interface ServiceAddress {
  readonly address: string;
  readonly port: number;
  readonly priority: number;
  /** At least 1. */
  readonly weight: number;
  /** The name that the record gives. */
  readonly name: string;
}

/** What became of a service. */
export interface ServiceAnswer {
  readonly code: number;
  /** The most important first. */
  readonly addresses: readonly ServiceAddress[];
  /** Names of its records that could not be resolved. */
  readonly failures: readonly { readonly name: string; readonly code: number }[];
  readonly validUntil: number;
}

/** Something being waited for. */
export interface Waiting {
  /** It is not waited for any more; nobody is told. */
  cancel(): void;
}

/** Names remembered; with more, the one used longest ago goes. */
const MOST_NAMES = 4_096;
/** Names being asked for at a time; with more, the answer is a failure at once. */
const MOST_LOOKUPS = 1_024;
/** Steps from one name to what it is another name for; nginx's. */
const MOST_ALIASES = 50;
/** Records of a service that count. */
const MOST_SERVICES = 512;
/** ms that a failure is good for: who watches a name asks again after that. */
const FAILURE_VALID = 10_000;
/** A time to live beyond a day could keep what nobody remembers having set. */
const LONGEST_VALID = 86_400_000;

/** What a name is: addresses, records of a service, another name; or why it is nothing. */
interface Finding {
  readonly code: number;
  readonly addresses: readonly string[];
  readonly services: readonly ServiceRecord[];
  readonly alias: string | undefined;
  readonly validUntil: number;
}

/** A name that is remembered, or asked for; both, when it is asked for anew. */
class Entry implements LookupWatcher {
  readonly key: string;
  readonly #resolver: Resolver;
  readonly #complain: (complaint: string) => void;
  lookup: Lookup | undefined = undefined;
  finding: Finding | undefined = undefined;
  readonly waiting = new Set<Question>();

  constructor(key: string, resolver: Resolver, complain: (complaint: string) => void) {
    this.key = key;
    this.#resolver = resolver;
    this.#complain = complain;
  }

  lookupAnswered(answers: readonly DnsAnswer[]): void {
    const finding = this.#resolver.settle(this, answers);
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const question of waiting) question.answered(finding);
  }

  lookupComplained(complaint: string): void {
    this.#complain(complaint);
  }
}

/** One who waits for one name, through all that it is another name for. */
class Question implements Waiting {
  readonly #resolver: Resolver;
  readonly #service: boolean;
  readonly #told: (finding: Finding) => void;
  readonly #timer: NodeJS.Timeout;
  #entry: Entry | undefined = undefined;
  #aliases = 0;
  #over = false;

  constructor(resolver: Resolver, service: boolean, timeout: number, told: (finding: Finding) => void) {
    this.#resolver = resolver;
    this.#service = service;
    this.#told = told;
    this.#timer = setTimeout(this.#timeOut, timeout).unref();
  }

  /** @returns what is known at once; undefined: it will be told */
  begin(name: string): Finding | undefined {
    const found = this.#follow(name);
    if (found !== undefined) this.#close();
    return found;
  }

  cancel(): void {
    if (this.#over) return;
    this.#close();
    if (this.#entry !== undefined) this.#resolver.leave(this.#entry, this);
  }

  answered(finding: Finding): void {
    this.#entry = undefined;
    const found = finding.alias === undefined ? finding : this.#follow(finding.alias);
    if (found !== undefined) this.#tell(found);
  }

  #follow(first: string): Finding | undefined {
    for (let name = first; this.#aliases++ <= MOST_ALIASES; ) {
      const found = this.#resolver.find(name, this.#service);
      if (found instanceof Entry) {
        found.waiting.add(this);
        this.#entry = found;
        return undefined;
      }
      if (found.alias === undefined) return found;
      name = found.alias;
    }
    return failure(HOST_NOT_FOUND);
  }

  readonly #timeOut = (): void => {
    if (this.#over) return;
    if (this.#entry !== undefined) this.#resolver.leave(this.#entry, this);
    this.#tell(failure(TIMED_OUT));
  };

  #tell(finding: Finding): void {
    if (this.#over) return;
    this.#close();
    this.#told(finding);
  }

  #close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }
}

function failure(code: number, valid = FAILURE_VALID): Finding {
  return { code, addresses: [], services: [], alias: undefined, validUntil: Date.now() + valid };
}

export class Resolver {
  readonly settings: ResolverSettings;
  readonly #complain: (complaint: string) => void;
  readonly #types: readonly QueryType[];
  /** By name, with a mark before that of a service. Those used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  #lookups = 0;
  #nextServer = 0;

  /** @param complain takes sentences for the error log: what came that was no answer */
  constructor(settings: ResolverSettings, complain: (complaint: string) => void) {
    this.settings = settings;
    this.#complain = complain;
    this.#types = [...(settings.ipv4 ? ['A' as const] : []), ...(settings.ipv6 ? ['AAAA' as const] : [])];
  }

  /** How many names are remembered or asked for. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The addresses of a name. All who ask for the same name wait for one answer.
   * @param timeout ms
   * @param told is called once, later, unless the answer is returned at once
   */
  resolveName(name: string, timeout: number, told: (answer: NameAnswer) => void): NameAnswer | Waiting {
    const question = new Question(this, false, timeout, told);
    const found = question.begin(plainName(name));
    return found === undefined ? question : { ...found, addresses: rotated(found.addresses) };
  }

  /**
   * The addresses of a service (RFC 2782).
   * @param service `http` stands for `_http._tcp`; one with a dot in it is put before the name as it is
   * @param timeout ms, for the service and again for the names that it leads to
   */
  resolveService(name: string, service: string, timeout: number, told: (answer: ServiceAnswer) => void): Waiting {
    return new ServiceQuestion(this, `${serviceName(service)}.${plainName(name)}`, timeout, told);
  }

  /** For questions. @returns what is remembered, or an entry to wait at */
  find(name: string, service: boolean): Finding | Entry {
    const key = service ? `service ${name}` : name;
    const entry = this.#entries.get(key) ?? new Entry(key, this, this.#complain);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (entry.finding !== undefined && entry.finding.validUntil > Date.now()) return entry.finding;
    if (entry.lookup === undefined && !this.#look(entry, name, service)) {
      this.#entries.delete(key);
      return failure(this.#lookups < MOST_LOOKUPS ? HOST_NOT_FOUND : SERVER_FAILURE, this.settings.valid);
    }
    if (this.#entries.size > MOST_NAMES) this.#forgetOldest();
    return entry;
  }

  /** For questions: one does not wait any more. */
  leave(entry: Entry, question: Question): void {
    entry.waiting.delete(question);
    if (entry.waiting.size > 0 || entry.lookup === undefined) return;
    entry.lookup.cancel();
    entry.lookup = undefined;
    this.#lookups--;
    this.#entries.delete(entry.key);
  }

  /** For entries: what the answers come to. Failures are told to who waits, and not remembered. */
  settle(entry: Entry, answers: readonly DnsAnswer[]): Finding {
    this.#lookups--;
    entry.lookup = undefined;
    const finding = this.#findingOf(answers);
    if (finding.code === NO_ERROR) entry.finding = finding;
    else this.#entries.delete(entry.key);
    return finding;
  }

  #findingOf(answers: readonly DnsAnswer[]): Finding {
    const { valid } = this.settings;
    const code = answers.find((answer) => answer.code !== NO_ERROR)?.code ?? NO_ERROR;
    const addresses = answers.flatMap((answer) => answer.addresses);
    const services = answers.flatMap((answer) => answer.services);
    // Where the two kinds contradict each other, the last one counts, as in nginx.
    const alias = answers.at(-1)?.alias;
    const isSomething = addresses.length > 0 || services.length > 0;
    if (code !== NO_ERROR) return failure(code, valid);
    if (!isSomething && alias === undefined) return failure(HOST_NOT_FOUND, valid);
    const ttl = Math.min(...answers.map((answer) => answer.ttl)) * 1000;
    const validUntil = Date.now() + (valid ?? Math.min(ttl, LONGEST_VALID));
    return { code, addresses, services, alias: isSomething ? undefined : alias, validUntil };
  }

  #look(entry: Entry, name: string, service: boolean): boolean {
    const { servers } = this.settings;
    if (this.#lookups >= MOST_LOOKUPS) return false;
    const lookup = Lookup.begin(name, service ? ['SRV'] : this.#types, servers, this.#nextServer, entry);
    if (lookup === undefined) return false;
    entry.lookup = lookup;
    this.#lookups++;
    this.#nextServer = (this.#nextServer + 1) % servers.length;
    return true;
  }

  #forgetOldest(): void {
    for (const [key, { lookup }] of this.#entries) {
      if (lookup !== undefined) continue;
      this.#entries.delete(key);
      return;
    }
  }
}

/** DNS knows no case, and no dot at the end. */
function plainName(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}

function serviceName(service: string): string {
  return (service.includes('.') ? service : `_${service}._tcp`).toLowerCase();
}

/** From any of them on, so that what is remembered is not always used from its first on. */
function rotated<T>(list: readonly T[]): readonly T[] {
  if (list.length < 2) return list;
  const start = Math.floor(Math.random() * list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}

/** A service, and the names that its records lead to. */
class ServiceQuestion implements Waiting {
  readonly #resolver: Resolver;
  readonly #timeout: number;
  readonly #told: (answer: ServiceAnswer) => void;
  readonly #found: { readonly record: ServiceRecord; answer: NameAnswer | undefined }[] = [];
  #waiting: Waiting[] = [];
  #validUntil = 0;

  constructor(resolver: Resolver, name: string, timeout: number, told: (answer: ServiceAnswer) => void) {
    this.#resolver = resolver;
    this.#timeout = timeout;
    this.#told = told;
    const question = new Question(resolver, true, timeout, this.#taken);
    this.#waiting = [question];
    const found = question.begin(name);
    if (found !== undefined) process.nextTick(this.#taken, found);
  }

  cancel(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.cancel();
  }

  readonly #taken = (finding: Finding): void => {
    if (this.#waiting.length === 0) return;
    this.#waiting = [];
    this.#validUntil = finding.validUntil;
    const { code, services, validUntil } = finding;
    if (code !== NO_ERROR) {
      this.#told({ code, addresses: [], failures: [], validUntil });
      return;
    }
    const records = [...services].sort((one, other) => one.priority - other.priority).slice(0, MOST_SERVICES);
    for (const record of records) this.#found.push({ record, answer: undefined });
    for (const found of this.#found) this.#resolve(found);
    this.#report();
  };

  #resolve(found: { readonly record: ServiceRecord; answer: NameAnswer | undefined }): void {
    const answer = this.#resolver.resolveName(found.record.name, this.#timeout, (later) => {
      found.answer = later;
      this.#report();
    });
    if ('code' in answer) found.answer = answer;
    else this.#waiting.push(answer);
  }

  /** Once all names are known. */
  #report(): void {
    const answers = this.#found.flatMap(({ answer }) => answer ?? []);
    if (answers.length < this.#found.length) return;
    const addresses = this.#found.flatMap(({ record, answer }) => addressesOf(record, answer?.addresses ?? []));
    const failures = this.#found
      .filter(({ answer }) => answer?.code !== NO_ERROR)
      .map(({ record, answer }) => ({ name: record.name, code: answer?.code ?? SERVER_FAILURE }));
    const codes = failures.map(({ code }) => code);
    const failed = codes.includes(HOST_NOT_FOUND) ? HOST_NOT_FOUND : (codes[0] ?? HOST_NOT_FOUND);
    const validUntil = Math.min(this.#validUntil, ...answers.map((answer) => answer.validUntil));
    this.#told({ code: addresses.length > 0 ? NO_ERROR : failed, addresses, failures, validUntil });
  }
}

function addressesOf({ name, port, priority, weight }: ServiceRecord, addresses: readonly string[]): ServiceAddress[] {
  return addresses.map((address) => ({ address, port, priority, weight: Math.max(1, weight), name }));
}

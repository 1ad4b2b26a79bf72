// Which server of a listener a host name belongs to.
// https://nginx.org/en/docs/http/server_names.html

import { lowerCase } from '../config/source.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { keepCaptures } from './captures.ts';

export interface ServerName {
  /** As written, without the `~` of an expression: `example.org`, `*.example.org`, `.example.org`, `mail.*`, or '' for requests without a host. */
  readonly text: string;
  /** For a name that began with `~`. */
  readonly pattern: RegExp | undefined;
}

/** A server, of whatever type the caller has in hand, and its names. */
export interface NamedServer<S> {
  readonly names: readonly ServerName[];
  readonly server: S;
}

interface PatternName<S> {
  readonly pattern: RegExp;
  readonly server: S;
}

/**
 * The servers of one listener by name. In nginx's order: the exact name, the longest `*.name`, the longest `name.*`, the
 * first expression, the default server.
 */
export class ServerNames<S> {
  readonly #defaultServer: S;
  readonly #exact = new Map<string, S>();
  /** By what follows `*.`, by what precedes `.*`. */
  readonly #leading = new Map<string, S>();
  readonly #trailing = new Map<string, S>();
  readonly #patterns: PatternName<S>[] = [];
  readonly #conflicts: string[] = [];
  readonly #invalid: string[] = [];

  constructor(defaultServer: S) {
    this.#defaultServer = defaultServer;
  }

  /** Names that another server of this listener already has: nginx warns `conflicting server name "%s" on %s, ignored`. */
  get conflicts(): readonly string[] {
    return this.#conflicts;
  }

  /** Names that cannot be: nginx fails with `invalid server name or wildcard "%s" on %s`. */
  get invalid(): readonly string[] {
    return this.#invalid;
  }

  add(name: ServerName, server: S): void {
    if (name.pattern !== undefined) this.#patterns.push({ pattern: name.pattern, server });
    else this.#addText(lowerCase(name.text), server);
  }

  /**
   * @param host without port; '' where the request names none
   * @param exchange gets the captures where an expression matched
   */
  find(host: string, exchange?: Exchange): S {
    return this.#exact.get(host) ?? this.#findElsewhere(lowerCase(host), exchange);
  }

  #addText(name: string, server: S): void {
    if (/\*.*\*|\.\.|\0/s.test(name)) this.#invalid.push(name);
    else if (name.length > 1 && name.startsWith('.'))
      this.#put([this.#exact, this.#leading], name.slice(1), server, name);
    else if (name.length > 2 && name.startsWith('*.')) this.#put([this.#leading], name.slice(2), server, name);
    else if (name.length > 2 && name.endsWith('.*')) this.#put([this.#trailing], name.slice(0, -2), server, name);
    else if (name.includes('*')) this.#invalid.push(name);
    else this.#put([this.#exact], name, server, name);
  }

  #put(tables: readonly Map<string, S>[], key: string, server: S, name: string): void {
    if (tables.some((table) => table.has(key))) this.#conflicts.push(name);
    else for (const table of tables) table.set(key, server);
  }

  #findElsewhere(host: string, exchange: Exchange | undefined): S {
    return (
      this.#exact.get(host) ??
      this.#findLeading(host) ??
      this.#findTrailing(host) ??
      this.#findPattern(host, exchange) ??
      this.#defaultServer
    );
  }

  /** From the left: the first that fits is the longest. */
  #findLeading(host: string): S | undefined {
    if (this.#leading.size === 0) return undefined;
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const server = this.#leading.get(host.slice(dot + 1));
      if (server !== undefined) return server;
    }
    return undefined;
  }

  /** From the right: the first that fits is the longest. */
  #findTrailing(host: string): S | undefined {
    if (this.#trailing.size === 0) return undefined;
    for (let dot = host.lastIndexOf('.'); dot > 0; dot = host.lastIndexOf('.', dot - 1)) {
      const server = this.#trailing.get(host.slice(0, dot));
      if (server !== undefined) return server;
    }
    return undefined;
  }

  #findPattern(host: string, exchange: Exchange | undefined): S | undefined {
    if (host === '') return undefined;
    for (const { pattern, server } of this.#patterns) {
      const match = pattern.exec(host);
      if (match === null) continue;
      if (exchange !== undefined) keepCaptures(exchange, match);
      return server;
    }
    return undefined;
  }
}

/** All names of a listener's servers, in the order of the configuration. */
export function compileServerNames<S>(servers: readonly NamedServer<S>[], defaultServer: S): ServerNames<S> {
  const compiled = new ServerNames(defaultServer);
  for (const { names, server } of servers) {
    for (const name of names) compiled.add(name, server);
  }
  return compiled;
}

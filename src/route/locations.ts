// Which location of a server a URI belongs to.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#location

import type { Exchange } from '../exchange/exchange.ts';
import type { LocationFinder, LocationSettings } from '../exchange/settings.ts';
import { keepCaptures } from './captures.ts';
import { redirectTo } from './redirects.ts';
import { escapeUri } from './uri.ts';

/** A location as the configuration has it, with those that stand inside it. */
export interface LocationNode {
  /** What it matches: exactly this (`=`), what begins so (`prefix`), or by name (`@name`). */
  readonly match:
    | { readonly kind: 'exact' | 'named'; readonly text: string }
    /** `stopsRegex`: `^~`. */
    | { readonly kind: 'prefix'; readonly text: string; readonly stopsRegex: boolean }
    | { readonly kind: 'regex'; readonly pattern: RegExp };
  readonly settings: LocationSettings;
  readonly nested: readonly LocationNode[];
}

/** Whether a request is an opening handshake, which is served where another one is redirected. */
export type HandshakeTest = (exchange: Exchange) => boolean;

/** Builds the finder of a server from its locations, in the order of the configuration. */
export function compileLocations(
  locations: readonly LocationNode[],
  isHandshake: HandshakeTest = () => false,
): LocationFinder {
  return new Locations(locations, isHandshake);
}

/** Locations that say the same as an earlier one of their level: nginx fails with `duplicate location "%s"`. */
export function duplicateLocations(locations: readonly LocationNode[]): LocationNode[] {
  const seen = new Set<string>();
  return locations.flatMap((node) => {
    const { match } = node;
    if (match.kind === 'regex' || match.kind === 'named') return [];
    const key = `${match.kind} ${match.text}`;
    const twice = seen.has(key);
    seen.add(key);
    return twice ? [node, ...duplicateLocations(node.nested)] : duplicateLocations(node.nested);
  });
}

/**
 * Locations without an expression somewhere inside one with an expression. nginx accepts them and never finds them, and
 * so do we; that is worth a warning.
 */
export function unreachableLocations(locations: readonly LocationNode[], insideRegex = false): LocationNode[] {
  return locations.flatMap((node) => {
    const isRegex = node.match.kind === 'regex';
    const inside = unreachableLocations(node.nested, insideRegex || isRegex);
    return insideRegex && !isRegex ? [node, ...inside] : inside;
  });
}

class Locations implements LocationFinder {
  readonly #named = new Map<string, LocationSettings>();
  readonly #level: Level;
  readonly #search: Search = { found: undefined };

  constructor(locations: readonly LocationNode[], isHandshake: HandshakeTest) {
    this.#level = new Level(locations, false, isHandshake);
    for (const { match, settings } of locations) {
      // Of several with one name nginx takes the first, without a word.
      if (match.kind === 'named' && !this.#named.has(match.text)) this.#named.set(match.text, settings);
    }
  }

  find(exchange: Exchange, uri: string): LocationSettings | undefined {
    this.#search.found = undefined;
    this.#level.search(exchange, uri, this.#search);
    return this.#search.found;
  }

  named(name: string): LocationSettings | undefined {
    return this.#named.get(name);
  }
}

/** How far a search has come: deeper levels put their find over that of those above. */
interface Search {
  found: LocationSettings | undefined;
}

interface Prefix {
  readonly text: string;
  readonly stopsRegex: boolean;
  readonly settings: LocationSettings;
  readonly nested: Level | undefined;
  /** The longest other prefix of the level that this one begins with. */
  shorter: Prefix | undefined;
}

interface Redirect {
  /** For a handshake. */
  readonly served: LocationSettings;
  /** For all others. */
  readonly redirecting: LocationSettings;
}

interface Pattern {
  readonly pattern: RegExp;
  readonly settings: LocationSettings;
  readonly nested: Level | undefined;
}

/** The locations that stand side by side, in a server or in another location. */
class Level {
  readonly #exact = new Map<string, LocationSettings>();
  /** Sorted by text. */
  readonly #prefixes: Prefix[] = [];
  readonly #patterns: Pattern[] = [];
  /** By `/name`, what to do with a request of it where `/name/` redirects such. */
  readonly #redirects = new Map<string, Redirect>();
  readonly #isHandshake: HandshakeTest;
  #longestRedirect = -1;

  /** @param insideRegex only expressions count: see `unreachableLocations` */
  constructor(locations: readonly LocationNode[], insideRegex: boolean, isHandshake: HandshakeTest) {
    this.#isHandshake = isHandshake;
    for (const node of locations) {
      if (node.match.kind === 'regex') this.#addPattern(node.match.pattern, node);
      else if (!insideRegex) this.#addText(node);
    }
    this.#prefixes.sort((one, other) => (one.text < other.text ? -1 : 1));
    this.#linkPrefixes();
    if (!insideRegex) this.#linkRedirects(locations);
  }

  /** @returns whether the find is final: nginx then tries no expression of the levels above */
  search(exchange: Exchange, uri: string, search: Search): boolean {
    const exact = this.#exact.size > 0 ? this.#exact.get(uri) : undefined;
    if (exact !== undefined) {
      search.found = exact;
      return true;
    }
    const prefix = this.#longestPrefix(uri);
    if (
      uri.length <= this.#longestRedirect &&
      prefix?.text.length !== uri.length &&
      this.#findRedirect(exchange, uri, search)
    )
      return true;
    if (prefix !== undefined) {
      search.found = prefix.settings;
      if (prefix.nested?.search(exchange, uri, search)) return true;
      if (prefix.stopsRegex) return false;
    }
    return this.#patterns.length > 0 && this.#searchPatterns(exchange, uri, search);
  }

  #addPattern(pattern: RegExp, { settings, nested }: LocationNode): void {
    this.#patterns.push({ pattern, settings, nested: this.#below(nested, true) });
  }

  #addText({ match, settings, nested }: LocationNode): void {
    if (match.kind === 'exact') this.#exact.set(match.text, settings);
    if (match.kind !== 'prefix') return;
    this.#prefixes.push({ ...match, settings, nested: this.#below(nested, false), shorter: undefined });
  }

  #below(nested: readonly LocationNode[], insideRegex: boolean): Level | undefined {
    return nested.length === 0 ? undefined : new Level(nested, insideRegex, this.#isHandshake);
  }

  /** Where there are both `= /name/` and `/name/`, the exact one's settings are in force. */
  #linkRedirects(locations: readonly LocationNode[]): void {
    for (const { match, settings } of locations) {
      if (match.kind === 'regex' || !settings.autoRedirect || !match.text.endsWith('/')) continue;
      const served = this.#exact.get(match.text) ?? settings;
      this.#redirects.set(match.text.slice(0, -1), { served, redirecting: redirecting(served, match.text) });
      this.#longestRedirect = Math.max(this.#longestRedirect, match.text.length - 1);
    }
  }

  #linkPrefixes(): void {
    const open: Prefix[] = [];
    for (const prefix of this.#prefixes) {
      while (open.length > 0 && !prefix.text.startsWith((open.at(-1) as Prefix).text)) open.pop();
      prefix.shorter = open.at(-1);
      open.push(prefix);
    }
  }

  /**
   * In the order of texts, everything from the longest fitting prefix up to the URI itself begins with that prefix: so it is
   * the last one that is not behind the URI, or one that this begins with.
   */
  #longestPrefix(uri: string): Prefix | undefined {
    const prefixes = this.#prefixes;
    let low = 0;
    let high = prefixes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((prefixes[middle] as Prefix).text <= uri) low = middle + 1;
      else high = middle;
    }
    let candidate = prefixes[low - 1];
    while (candidate !== undefined && !uri.startsWith(candidate.text)) candidate = candidate.shorter;
    return candidate;
  }

  #findRedirect(exchange: Exchange, uri: string, search: Search): boolean {
    const found = this.#redirects.get(uri);
    if (found === undefined) return false;
    const { served, redirecting } = found;
    search.found = served.websocket.upgrade !== 'off' && this.#isHandshake(exchange) ? served : redirecting;
    return true;
  }

  #searchPatterns(exchange: Exchange, uri: string, search: Search): boolean {
    for (const { pattern, settings, nested } of this.#patterns) {
      const match = pattern.exec(uri);
      if (match === null) continue;
      keepCaptures(exchange, match);
      search.found = settings;
      nested?.search(exchange, uri, search);
      return true;
    }
    return false;
  }
}

/** The location `/name/` for a request of `/name`: the same, but the first thing it does is to redirect. */
function redirecting(settings: LocationSettings, text: string): LocationSettings {
  const path = escapeUri(text);
  const redirect = (exchange: Exchange) =>
    redirectTo(exchange, 301, exchange.args === '' ? path : `${path}?${exchange.args}`);
  return Object.freeze({ ...settings, limitExcept: undefined, rewrite: [redirect] });
}

// Walks the checked tree and lets each module build its part of every level; then binds, joins and freezes.

import type { Block, Directive } from '../config/tree.ts';
import type { Handler, LocationSettings, ServerSettings } from '../exchange/exchange.ts';
import type { ListenedServer, ListenSettings } from '../listen/listen-settings.ts';
import { compileLocations, duplicateLocations, type LocationNode } from '../route/locations.ts';
import { compileServerNames, type NamedServer } from '../route/server-names.ts';
import type { CoreSettings, Snapshot } from '../snapshot.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type {
  DraftListen,
  HttpDraft,
  LocationDraft,
  Mutable,
  ServerDraft,
  SnapshotDraft,
  UpstreamDraft,
  Workshop,
} from './draft.ts';
import { Levels } from './levels.ts';
import type { LocationPattern } from './location-pattern.ts';
import type { Module } from './module.ts';

/** What a snapshot needs that no directive says. */
export type SnapshotFrame = Pick<Snapshot, 'errorLog'>;

export class SnapshotBuilder {
  readonly #modules: readonly Module[];
  readonly #workshop: Workshop;
  readonly #draft: SnapshotDraft;
  readonly #built = new Map<ServerDraft, ListenedServer>();

  constructor(modules: readonly Module[], workshop: Workshop) {
    this.#modules = modules;
    this.#workshop = workshop;
    const http: HttpDraft = { workshop, upstreams: new Map(), servers: [], notes: new Map() };
    // The core module sets every field of `core` from its directives' defaults.
    this.#draft = { workshop, core: {} as Mutable<CoreSettings>, http, notes: new Map() };
  }

  /** Builds everything below `root`. Mistakes go to `workshop.problems`; the draft is of use only where there are none. */
  build(root: Block): SnapshotDraft {
    const main = Levels.top(this.#modules, root);
    this.#eachModule((module, index) => module.main?.(main.set(index), this.#draft, main.level(index)));
    for (const block of blocksNamed(root, 'events')) this.#buildEvents(main, block);
    for (const block of blocksNamed(root, 'http')) this.#buildHttp(main, block);
    for (const problem of this.#workshop.variables.resolve()) this.#workshop.problems.add(problem);
    return this.#draft;
  }

  /** The listeners of a draft in which nothing is wrong. */
  listeners(): ListenSettings[] {
    const byKey = new Map<string, { listen: DraftListen; server: ServerDraft }[]>();
    for (const server of this.#draft.http.servers) {
      for (const listen of server.listens) {
        const entries = byKey.get(listen.address.key) ?? [];
        byKey.set(listen.address.key, entries);
        if (entries.some((entry) => entry.server === server)) {
          this.#workshop.error(`a duplicate listen ${listen.address.key}`, listen.at);
        }
        entries.push({ listen, server });
      }
    }
    return [...byKey.values()].map((entries) => this.#joinListener(entries));
  }

  #eachModule(step: (module: Module, index: number) => void): void {
    this.#modules.forEach((module, index) => {
      this.#workshop.problems.attempt(() => step(module, index));
    });
  }

  #buildEvents(main: Levels, block: Block): void {
    const levels = main.below(block);
    this.#eachModule((module, index) => module.events?.(levels.set(index), this.#draft, levels.level(index)));
  }

  #buildHttp(main: Levels, block: Block): void {
    const levels = main.below(block);
    const { http } = this.#draft;
    for (const directive of named(block, 'upstream')) this.#buildUpstream(levels, directive);
    this.#eachModule((module, index) => module.http?.(levels.set(index), http, levels.level(index)));
    for (const directive of named(block, 'server')) this.#buildServer(levels, directive);
  }

  #buildUpstream(http: Levels, { block, args, at }: Directive): void {
    if (block === undefined) return;
    const levels = http.below(block);
    const name = args[0]?.text ?? '';
    const { upstreams } = this.#draft.http;
    if (upstreams.has(name)) {
      this.#workshop.error(`duplicate upstream "${name}"`, at);
      return;
    }
    const draft: UpstreamDraft = {
      http: this.#draft.http,
      workshop: this.#workshop,
      name,
      at,
      upstream: undefined,
      notes: new Map(),
    };
    upstreams.set(name, draft);
    this.#eachModule((module, index) => module.upstream?.(levels.set(index), draft, levels.level(index)));
  }

  #buildServer(http: Levels, { block, at }: Directive): void {
    if (block === undefined) return;
    const levels = http.below(block);
    const draft = this.#serverDraft(at);
    this.#draft.http.servers.push(draft);
    this.#eachModule((module, index) => module.server?.(levels.set(index), draft, levels.level(index)));
    this.#eachModule((module, index) => module.location?.(levels.set(index), draft.outside, levels.level(index)));
    this.#buildLocations(levels, block, draft, draft.outside);
  }

  #serverDraft(at: Directive['at']): ServerDraft {
    const server = {
      http: this.#draft.http,
      workshop: this.#workshop,
      at,
      settings: {} as Mutable<ServerSettings>,
      rewrite: [],
      listens: [],
      names: [],
      tls: undefined,
    };
    const outside = locationDraft(server as unknown as ServerDraft, undefined, undefined, at);
    return Object.assign(server, { outside });
  }

  #buildLocations(above: Levels, within: Block, server: ServerDraft, parent: LocationDraft): void {
    for (const { block, value, at } of named(within, 'location')) {
      if (block === undefined || value === undefined) continue;
      const levels = above.below(block);
      const { pattern } = value as { pattern: LocationPattern };
      const draft = locationDraft(server, parent, pattern, at);
      this.#workshop.problems.attempt(() => checkNesting(draft));
      parent.children.push(draft);
      this.#eachModule((module, index) => module.location?.(levels.set(index), draft, levels.level(index)));
      this.#buildLocations(levels, block, server, draft);
    }
  }

  #joinListener(entries: readonly { listen: DraftListen; server: ServerDraft }[]): ListenSettings {
    const defaults = entries.filter(({ listen }) => listen.defaultServer);
    const first = entries[0] as (typeof entries)[number];
    const { key } = first.listen.address;
    if (defaults.length > 1) this.#workshop.error(`a duplicate default server for ${key}`, defaults[1]?.listen.at);
    const withOptions = entries.filter(({ listen }) => listen.hasOptions);
    if (withOptions.length > 1) this.#workshop.error(`duplicate listen options for ${key}`, withOptions[1]?.listen.at);
    const named: NamedServer<ListenedServer>[] = entries.map(({ server }) => ({
      names: server.names,
      server: this.#listened(server),
    }));
    const defaultServer = this.#listened((defaults[0] ?? first).server);
    const names = compileServerNames(named, defaultServer);
    for (const name of names.conflicts)
      this.#workshop.warn(`conflicting server name "${name}" on ${key}, ignored`, undefined);
    for (const name of names.invalid)
      this.#workshop.error(`invalid server name or wildcard "${name}" on ${key}`, undefined);
    this.#checkCertificates(entries);
    return {
      address: first.listen.address,
      options: (withOptions[0] ?? first).listen.options,
      ssl: entries.some(({ listen }) => listen.ssl),
      proxyProtocol: entries.some(({ listen }) => listen.proxyProtocol),
      defaultServer,
      find: (name, exchange) => names.find(name, exchange),
    };
  }

  #checkCertificates(entries: readonly { listen: DraftListen; server: ServerDraft }[]): void {
    const ssl = entries.find(({ listen }) => listen.ssl);
    if (ssl === undefined || entries.some(({ server }) => server.tls !== undefined)) return;
    this.#workshop.error('no "ssl_certificate" is defined for the "listen ... ssl" directive', ssl.listen.at);
  }

  #listened(server: ServerDraft): ListenedServer {
    const known = this.#built.get(server);
    if (known !== undefined) return known;
    const nodes = server.outside.children.map(finishLocation);
    for (const node of duplicateLocations(nodes)) {
      this.#workshop.error(
        `duplicate location "${node.settings.name}"`,
        placeOfLocation(server.outside, node.settings),
      );
    }
    const settings: ServerSettings = Object.freeze(
      Object.assign(server.settings, {
        locations: compileLocations(nodes),
        outside: finishSettings(server.outside),
        rewrite: Object.freeze(server.rewrite),
      }),
    );
    const listened = Object.freeze({ settings, tls: server.tls });
    this.#built.set(server, listened);
    return listened;
  }
}

/** Puts a finished draft together with what the master or the worker has opened for it. */
export function freezeSnapshot(
  draft: SnapshotDraft,
  listeners: readonly ListenSettings[],
  frame: SnapshotFrame,
): Snapshot {
  const upstreams = new Map<string, Upstream>();
  for (const [name, { upstream }] of draft.http.upstreams) if (upstream !== undefined) upstreams.set(name, upstream);
  return Object.freeze({
    ...frame,
    core: Object.freeze(draft.core),
    logFiles: [...draft.workshop.logPaths],
    listeners: Object.freeze(listeners),
    upstreams,
    use: { count: 0, retired: undefined },
  });
}

function named(block: Block, name: string): Directive[] {
  return block.directives.filter((directive) => directive.name === name);
}

function blocksNamed(block: Block, name: string): Block[] {
  return named(block, name).flatMap((directive) => directive.block ?? []);
}

function locationDraft(
  server: ServerDraft,
  parent: LocationDraft | undefined,
  pattern: LocationPattern | undefined,
  at: Directive['at'],
): LocationDraft {
  return {
    server,
    workshop: server.workshop,
    parent,
    at,
    pattern,
    // Filled by the core module before anything reads it.
    settings: {
      name: pattern?.written ?? '',
      kind: pattern?.kind ?? 'server',
      autoRedirect: false,
    } as Mutable<LocationSettings>,
    rewrite: [],
    preaccess: [],
    access: [],
    precontent: [],
    contentHandler: undefined,
    content: [],
    headerFilters: [],
    log: [],
    children: [],
  };
}

/** nginx's rules for a location inside another one. */
function checkNesting({ pattern, parent, workshop, at }: LocationDraft): void {
  const outer = parent?.pattern;
  if (pattern === undefined || outer === undefined) return;
  if (outer.kind === 'exact')
    workshop.error(`location "${pattern.text}" cannot be inside the exact location "${outer.text}"`, at);
  if (outer.kind === 'named')
    workshop.error(`location "${pattern.text}" cannot be inside the named location "${outer.text}"`, at);
  if (pattern.kind === 'named') workshop.error(`named location "${pattern.text}" can be on the server level only`, at);
  const outside = pattern.kind !== 'regex' && outer.kind === 'prefix' && !pattern.text.startsWith(outer.text);
  if (outside && pattern.kind !== 'named')
    workshop.error(`location "${pattern.text}" is outside location "${outer.text}"`, at);
}

function finishLocation(draft: LocationDraft): LocationNode {
  return {
    match: matchOf(draft.pattern as LocationPattern),
    settings: finishSettings(draft),
    nested: draft.children.map(finishLocation),
  };
}

function matchOf({ kind, text, stopsRegex, regexp }: LocationPattern): LocationNode['match'] {
  if (kind === 'regex') return { kind, pattern: regexp as RegExp };
  return kind === 'prefix' ? { kind, text, stopsRegex } : { kind, text };
}

function finishSettings(draft: LocationDraft): LocationSettings {
  const { settings, contentHandler } = draft;
  const content: readonly Handler[] = contentHandler === undefined ? draft.content : [contentHandler];
  return Object.freeze(
    Object.assign(settings, {
      rewrite: Object.freeze(draft.rewrite),
      preaccess: Object.freeze(draft.preaccess),
      access: Object.freeze(draft.access),
      precontent: Object.freeze(draft.precontent),
      content: Object.freeze(content),
      headerFilters: Object.freeze(draft.headerFilters),
      log: Object.freeze(draft.log),
    }),
  );
}

function placeOfLocation(within: LocationDraft, settings: LocationSettings): LocationDraft['at'] | undefined {
  for (const child of within.children) {
    if (child.settings === settings) return child.at;
    const deeper = placeOfLocation(child, settings);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

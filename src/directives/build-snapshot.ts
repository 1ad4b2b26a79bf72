// Walks the checked tree and lets each module build its part of every level.

import type { Block, Directive } from '../config/tree.ts';
import type { ServerSettings } from '../exchange/exchange.ts';
import type { ListenSettings } from '../listen/listen-settings.ts';
import type { CoreSettings, Snapshot } from '../snapshot.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { TunnelCounts } from '../websocket/tunnel-counts.ts';
import { ConnectionCounts } from '../zones/connection-counts.ts';
import type {
  HttpDraft,
  LocationDraft,
  Mutable,
  ServerDraft,
  SnapshotDraft,
  UpstreamDraft,
  Workshop,
} from './draft.ts';
import { Levels } from './levels.ts';
import { checkNesting } from './location-nesting.ts';
import type { LocationPattern } from './location-pattern.ts';
import type { Module } from './module.ts';
import { proxiedLocations } from './proxied-locations.ts';

/**
 * Builds everything below `root`. Mistakes go to `workshop.problems`, and the rest is built all the same, so that all of them are
 * found in one run; the draft is of use only where there are none. It yields after each server: a worker that builds thousands of
 * them has connections to look after meanwhile.
 */
export function buildDraft(
  modules: readonly Module[],
  workshop: Workshop,
  root: Block,
): Generator<void, SnapshotDraft> {
  return new Builder(modules, workshop).build(root);
}

class Builder {
  readonly #modules: readonly Module[];
  readonly #workshop: Workshop;
  readonly #draft: SnapshotDraft;

  constructor(modules: readonly Module[], workshop: Workshop) {
    this.#modules = modules;
    this.#workshop = workshop;
    // The websocket module sets its rate from its directive's default; without `http` there are no tunnels.
    const http: HttpDraft = {
      workshop,
      upstreams: new Map(),
      servers: [],
      healthChecks: [],
      drainRate: 1,
      notes: new Map(),
    };
    // The core module sets every field of `core` from its directives' defaults.
    this.#draft = { workshop, core: {} as Mutable<CoreSettings>, http, notes: new Map() };
  }

  *build(root: Block): Generator<void, SnapshotDraft> {
    const main = Levels.top(this.#modules, root);
    this.#eachModule((module, index) => module.main?.(main.set(index), this.#draft, main.level(index)));
    for (const { block } of named(root, 'events')) if (block !== undefined) this.#buildEvents(main.below(block));
    for (const { block } of named(root, 'http'))
      if (block !== undefined) yield* this.#buildHttp(main.below(block), block);
    return this.#draft;
  }

  #eachModule(step: (module: Module, index: number) => void): void {
    this.#modules.forEach((module, index) => {
      this.#workshop.problems.attempt(() => step(module, index));
    });
  }

  #buildEvents(levels: Levels): void {
    this.#eachModule((module, index) => module.events?.(levels.set(index), this.#draft, levels.level(index)));
  }

  /** Upstreams first: wherever `proxy_pass` names one, it is there. */
  *#buildHttp(levels: Levels, block: Block): Generator<void, void> {
    const { http } = this.#draft;
    for (const directive of named(block, 'upstream')) this.#buildUpstream(levels, directive);
    this.#eachModule((module, index) => module.http?.(levels.set(index), http, levels.level(index)));
    for (const directive of named(block, 'server')) {
      this.#buildServer(levels, directive);
      yield;
    }
  }

  #buildUpstream(http: Levels, { block, args, at }: Directive): void {
    if (block === undefined) return;
    const levels = http.below(block);
    const name = args[0]?.text ?? '';
    const key = name.toLowerCase();
    const { upstreams } = this.#draft.http;
    if (upstreams.has(key)) {
      this.#workshop.error(`duplicate upstream "${name}"`, at);
      return;
    }
    const draft = upstreamDraft(this.#draft.http, name, at);
    upstreams.set(key, draft);
    this.#eachModule((module, index) => module.upstream?.(levels.set(index), draft, levels.level(index)));
  }

  #buildServer(http: Levels, { block, at }: Directive): void {
    if (block === undefined) return;
    const levels = http.below(block);
    const draft = serverDraft(this.#draft.http, at);
    this.#draft.http.servers.push(draft);
    this.#eachModule((module, index) => module.server?.(levels.set(index), draft, levels.level(index)));
    this.#location(levels, draft.outside);
    this.#buildLocations(levels, block, draft.outside);
  }

  #buildLocations(above: Levels, within: Block, parent: LocationDraft): void {
    for (const { block, value, at } of named(within, 'location')) {
      if (block === undefined || value === undefined) continue;
      const levels = above.below(block);
      const { pattern } = value as { pattern: LocationPattern };
      const draft = locationDraft(parent.server, parent, pattern, at);
      this.#workshop.problems.attempt(() => checkNesting(draft));
      parent.children.push(draft);
      this.#buildLocation(levels, block, draft);
    }
  }

  /** The overlays are there, if empty, when its modules look for them. */
  #buildLocation(levels: Levels, block: Block, draft: LocationDraft): void {
    for (const one of [...named(block, 'if'), ...named(block, 'limit_except')])
      if (one.block !== undefined) draft.overlays.set(one.block, overlayDraft(draft, one));
    this.#location(levels, draft);
    for (const [inside, overlay] of draft.overlays) this.#location(levels.overlay(inside), overlay);
    this.#buildLocations(levels, block, draft);
  }

  #location(levels: Levels, draft: LocationDraft): void {
    this.#eachModule((module, index) => module.location?.(levels.set(index), draft, levels.level(index)));
  }
}

/** Makes of a draft in which nothing is wrong what a worker needs to serve. */
export function freezeSnapshot(draft: SnapshotDraft, listeners: readonly ListenSettings[]): Snapshot {
  const upstreams = new Map<string, Upstream>();
  for (const { name, upstream } of draft.http.upstreams.values())
    if (upstream !== undefined) upstreams.set(name, upstream);
  return Object.freeze({
    errorLog: draft.workshop.baseErrorLog,
    core: Object.freeze(draft.core),
    logFiles: [...draft.workshop.logPaths],
    tempFolders: draft.workshop.tempFolders,
    listeners: Object.freeze(listeners),
    upstreams,
    healthChecks: draft.http.healthChecks,
    proxied: proxiedLocations(draft.http.servers),
    drainRate: draft.http.drainRate,
    connectionCounts: ConnectionCounts.of(draft.workshop.zones),
    tunnelCounts: TunnelCounts.of(draft.workshop.zones),
    use: { count: 0, retired: undefined },
  });
}

function named(block: Block, name: string): Directive[] {
  return block.directives.filter((directive) => directive.name === name);
}

// Drafts as they begin. Their settings are filled by the modules before anything reads them.

function upstreamDraft(http: HttpDraft, name: string, at: Directive['at']): UpstreamDraft {
  return { http, workshop: http.workshop, name, at, upstream: undefined, notes: new Map() };
}

function serverDraft(http: HttpDraft, at: Directive['at']): ServerDraft {
  const server = {
    http,
    workshop: http.workshop,
    at,
    settings: {} as Mutable<ServerSettings>,
    postRead: [],
    rewrite: [],
    listens: [],
    names: [],
    tls: undefined,
    rejectsHandshake: false,
  };
  // The two know each other.
  const outside = locationDraft(server as unknown as ServerDraft, undefined, undefined, at);
  return Object.assign(server, { outside });
}

function overlayDraft(location: LocationDraft, { name, at }: Directive): LocationDraft {
  const overlay = name === 'if' ? 'if' : 'limit_except';
  return locationDraft(location.server, location, location.pattern, at, overlay);
}

function locationDraft(
  server: ServerDraft,
  parent: LocationDraft | undefined,
  pattern: LocationPattern | undefined,
  at: Directive['at'],
  overlay?: LocationDraft['overlay'],
): LocationDraft {
  const { written: name = '', kind = 'server' } = pattern ?? {};
  return {
    server,
    workshop: server.workshop,
    parent,
    at,
    pattern,
    overlay,
    aliasLength: 0,
    settings: { name, kind, autoRedirect: false } as LocationDraft['settings'],
    rewrite: [],
    preaccess: [],
    access: [],
    precontent: [],
    contentHandler: undefined,
    proxied: undefined,
    content: [],
    headerFilters: [],
    log: [],
    children: [],
    overlays: new Map(),
  };
}

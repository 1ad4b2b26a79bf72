// All servers that listen on one address become one listener: its socket's options, its default server, its names.

import type { Steps } from '../config/steps.ts';
import type { ListenedServer, ListenSettings } from '../listen/listen-settings.ts';
import { compileServerNames, type NamedServer, type ServerNames } from '../route/server-names.ts';
import type { DraftListen, HttpDraft, ServerDraft, Workshop } from './draft.ts';
import { finishServer } from './finish-server.ts';
import { warnOfProtocols } from './listen-protocols.ts';

/** The listeners of a draft, in the order in which the configuration first names their addresses. Mistakes go to the workshop. */
export function* joinListeners({ servers, workshop }: HttpDraft): Steps<ListenSettings[]> {
  const finished = new Map<ServerDraft, ListenedServer>();
  for (const server of servers) {
    finished.set(server, finish(server));
    yield;
  }
  const shares = [...sharesByAddress(servers, workshop).values()];
  return shares.map((entries) => joinOne(entries, finished, workshop));
}

function finish(server: ServerDraft): ListenedServer {
  const { tls, rejectsHandshake } = server;
  return Object.freeze({ settings: finishServer(server), tls, rejectsHandshake });
}

/** A server's part in a listener. */
interface Share {
  readonly listen: DraftListen;
  readonly server: ServerDraft;
}

function sharesByAddress(servers: readonly ServerDraft[], workshop: Workshop): Map<string, Share[]> {
  const byKey = new Map<string, Share[]>();
  for (const server of servers) {
    for (const listen of server.listens) {
      const { key } = listen.address;
      const shares = byKey.get(key) ?? [];
      byKey.set(key, shares);
      // All that one server listens on come one after the other.
      if (shares.at(-1)?.server === server) workshop.error(`a duplicate listen ${key}`, listen.at);
      else shares.push({ listen, server });
    }
  }
  return byKey;
}

function joinOne(
  shares: readonly Share[],
  finished: ReadonlyMap<ServerDraft, ListenedServer>,
  workshop: Workshop,
): ListenSettings {
  const { address } = (shares[0] as Share).listen;
  const chosen = shareOfDefault(shares, workshop);
  const withOptions = shareOfOptions(shares, workshop);
  const listens = shares.map(({ listen }) => listen);
  warnOfProtocols(listens, workshop);
  const ssl = shares.find(({ listen }) => listen.ssl);
  if (ssl !== undefined) checkCertificates(chosen.server, shares, workshop);
  const listened = (server: ServerDraft): ListenedServer => finished.get(server) as ListenedServer;
  const defaultServer = listened(chosen.server);
  const named = shares.map(({ server }) => ({ names: server.names, server: listened(server) }));
  const names = joinNames(named, defaultServer, address.key, workshop);
  return {
    address,
    options: withOptions.listen.options,
    ssl: ssl !== undefined,
    proxyProtocol: shares.some(({ listen }) => listen.proxyProtocol),
    defaultServer,
    find: (name, exchange) => names.find(name, exchange),
  };
}

/** The one that says `default_server`, else the first. */
function shareOfDefault(shares: readonly Share[], workshop: Workshop): Share {
  const [first, second] = shares.filter(({ listen }) => listen.defaultServer);
  if (second !== undefined) {
    workshop.error(`a duplicate default server for ${second.listen.address.key}`, second.listen.at);
  }
  return first ?? (shares[0] as Share);
}

/** Only one server may say what the socket is to be like. */
function shareOfOptions(shares: readonly Share[], workshop: Workshop): Share {
  const [first, second] = shares.filter(({ listen }) => listen.hasOptions);
  if (second !== undefined) {
    workshop.error(`duplicate listen options for ${second.listen.address.key}`, second.listen.at);
  }
  return first ?? (shares[0] as Share);
}

/**
 * The default server's certificate stands in for those that are missing; where it refuses all handshakes and has none, every other
 * server needs its own, unless it does so too. Where a certificate was refused, that has been told: nothing is said of its absence.
 */
function checkCertificates(chosen: ServerDraft, shares: readonly Share[], workshop: Workshop): void {
  if (chosen.tls !== undefined || workshop.problems.failed) return;
  const needing = chosen.rejectsHandshake ? shares.map(({ server }) => server) : [chosen];
  for (const { tls, rejectsHandshake, at } of needing) {
    if (tls === undefined && !rejectsHandshake)
      workshop.error('no "ssl_certificate" is defined for the "listen ... ssl" directive', at);
  }
}

function joinNames(
  named: readonly NamedServer<ListenedServer>[],
  defaultServer: ListenedServer,
  key: string,
  workshop: Workshop,
): ServerNames<ListenedServer> {
  const names = compileServerNames(named, defaultServer);
  // nginx does not look at the names of a server that has its address for itself.
  if (named.length === 1) return names;
  for (const name of names.conflicts) workshop.warn(`conflicting server name "${name}" on ${key}, ignored`, undefined);
  for (const name of names.invalid) workshop.error(`invalid server name or wildcard "${name}" on ${key}`, undefined);
  return names;
}

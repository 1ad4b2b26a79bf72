// What a snapshot is while it is being built: the modules fill it level by level, then it is frozen.

import type { Problems } from '../config/errors.ts';
import type { Files } from '../config/files.ts';
import type { Template, VariableTable } from '../config/template.ts';
import type { Block, Position } from '../config/tree.ts';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import type { LogBuffering } from '../diagnostics/log-file.ts';
import type { LogFiles } from '../diagnostics/log-files.ts';
import type { Exchange, Handler, LocationSettings, ServerSettings, Text } from '../exchange/exchange.ts';
import type { ListenAddress, SocketOptions } from '../listen/listen-settings.ts';
import type { TlsSettings } from '../listen/tls-settings.ts';
import type { ServerName } from '../route/server-names.ts';
import type { ProxySettings } from '../serve/proxy-settings.ts';
import type { CoreSettings, ErrorLogTarget, SyslogErrorTarget } from '../snapshot.ts';
import type { HealthCheck } from '../upstream/health-check.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import type { LocationPattern } from './location-pattern.ts';

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One block of the configuration, as one module sees it. */
export interface Level {
  readonly block: Block;
  /** Whether the directive stands on this very level, rather than above it or nowhere. */
  has(name: string): boolean;
  /** Whether it stands on this very level, if only in a form that was refused: then nothing shall be said of its absence. */
  stands(name: string): boolean;
  /** Where the directive that is in force stands (the first of several); undefined for a default. */
  at(name: string): Position | undefined;
  /** Where each of several stands, in the order of their values. */
  places(name: string): readonly Position[];
}

/** What every level may use. */
export interface Workshop {
  readonly problems: Problems;
  readonly files: Files;
  readonly logFiles: LogFiles;
  /** Absolute paths of all log files that the configuration names. */
  readonly logPaths: Set<string>;
  /** `buffer=` and `flush=` of those that have them: in force once the whole configuration has been found good. */
  readonly logBuffers: Map<string, LogBuffering>;
  /** See `Snapshot.tempFolders`. */
  readonly tempFolders: Map<string, boolean>;
  readonly zones: ZoneDirectory;
  readonly variables: VariableTable<Exchange>;
  /** Where errors go where the configuration says nothing: `-e`. */
  readonly defaultErrorLog: ErrorLogTarget;
  /** The error log of the main level; set by the core module before any other level is built. */
  baseErrorLog: ErrorLog;
  openErrorLog(targets: readonly (ErrorLogTarget | SyslogErrorTarget)[]): ErrorLog;
  /** The worker this is built for; -1 in the master, which only checks. */
  readonly worker: number;
  readonly secrets: { readonly ticketKeys: Buffer; readonly stickyKey: Buffer };
  /** A string with variables as a function of the exchange. */
  text(template: Template): Text;
  /** A path relative to the prefix (logs, root) made absolute. */
  fromPrefix(path: string): string;
  /** A path relative to the configuration file's folder (certificates, includes) made absolute. */
  fromConfig(path: string): string;
  /**
   * Addresses of a host name, by the system's resolver, asked in the master once for a configuration. None: it has none.
   * undefined: not known yet; the configuration will be built once more, so what depends on it is left out without a word.
   */
  lookUp(host: string): readonly string[] | undefined;
  /** Notes a mistake found while building. */
  error(message: string, at: Position | undefined, mend?: string): void;
  warn(message: string, at: Position | undefined, mend?: string): void;
}

export interface SnapshotDraft {
  readonly workshop: Workshop;
  readonly core: Mutable<CoreSettings>;
  readonly http: HttpDraft;
  readonly notes: Map<symbol, unknown>;
}

export interface HttpDraft {
  readonly workshop: Workshop;
  /** By name in lower case. */
  readonly upstreams: Map<string, UpstreamDraft>;
  readonly servers: ServerDraft[];
  readonly healthChecks: HealthCheck[];
  /** See `Snapshot.drainRate`. */
  drainRate: number;
  /** What modules keep for the whole of `http`, by a key of their own: log formats, for example. */
  readonly notes: Map<symbol, unknown>;
}

export interface UpstreamDraft {
  readonly http: HttpDraft;
  readonly workshop: Workshop;
  readonly name: string;
  readonly at: Position;
  /** Made by the upstream modules; present once the block has been read whole. */
  upstream: Upstream | undefined;
  readonly notes: Map<symbol, unknown>;
}

export interface DraftListen {
  readonly address: ListenAddress;
  readonly options: SocketOptions;
  /** Options of the socket were given, so that no other server may give others for this address. */
  readonly hasOptions: boolean;
  readonly ssl: boolean;
  readonly proxyProtocol: boolean;
  readonly http2: boolean;
  readonly defaultServer: boolean;
  readonly at: Position | undefined;
}

export interface ServerDraft {
  readonly http: HttpDraft;
  readonly workshop: Workshop;
  readonly at: Position;
  readonly settings: Mutable<ServerSettings>;
  /** Run before anything else, once for a request. */
  readonly postRead: Handler[];
  readonly rewrite: Handler[];
  readonly listens: DraftListen[];
  names: readonly ServerName[];
  tls: TlsSettings | undefined;
  /** `ssl_reject_handshake`. */
  rejectsHandshake: boolean;
  /** What is in force outside of all locations. */
  readonly outside: LocationDraft;
}

export interface LocationDraft {
  readonly server: ServerDraft;
  readonly workshop: Workshop;
  /** The location around this one; the server's own for one that is not nested; undefined for the server's own. */
  readonly parent: LocationDraft | undefined;
  readonly at: Position;
  /** undefined for the server's own; an overlay has that of its location. */
  readonly pattern: LocationPattern | undefined;
  /**
   * Not a location but an `if` or a `limit_except` in one: what it sets takes the place of the settings of `parent` while the exchange
   * stays there. Its rewrite phase is over when it begins to hold.
   */
  readonly overlay: 'if' | 'limit_except' | undefined;
  /** So much of a URI an `alias` stands for; 0: there is none; undefined: its whole path is made of captures. */
  aliasLength: number | undefined;
  /** Becomes the location's settings: the same object, frozen at the end. */
  readonly settings: Mutable<LocationSettings>;
  readonly rewrite: Handler[];
  readonly preaccess: Handler[];
  readonly access: Handler[];
  readonly precontent: Handler[];
  /** The handler that answers everything here (proxy_pass, …): no other content handler is asked. */
  contentHandler: Handler | undefined;
  /** What `proxy_pass` is here; undefined where it does not stand here. */
  proxied: ProxySettings | undefined;
  /** Asked in order where there is no such handler: index, autoindex, static. */
  readonly content: Handler[];
  readonly headerFilters: ((exchange: Exchange) => void)[];
  readonly log: ((exchange: Exchange) => void)[];
  readonly children: LocationDraft[];
  /** The overlays of this location, by their blocks; empty for the server's own. Built after it. */
  readonly overlays: Map<Block, LocationDraft>;
}

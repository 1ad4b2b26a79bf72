// All that a worker needs to serve, built once from a configuration, then frozen.

import type { ErrorLog, Level } from './diagnostics/error-log.ts';
import type { SyslogTarget } from './diagnostics/syslog.ts';
import type { SnapshotUse } from './exchange/exchange.ts';
import type { ListenSettings } from './listen/listen-settings.ts';
import type { HealthCheck } from './upstream/health-check.ts';
import type { ProxiedLocations } from './upstream/proxied-locations.ts';
import type { Upstream } from './upstream/upstream.ts';
import type { TunnelCounts } from './websocket/tunnel-counts.ts';
import type { ConnectionCounts } from './zones/connection-counts.ts';

/** One target of `error_log`: a file (absolute path), or the standard error output. */
export interface ErrorLogTarget {
  readonly path: string | 'stderr';
  readonly level: Level;
}

/** One target of `error_log` that is no file. */
export interface SyslogErrorTarget {
  readonly syslog: SyslogTarget;
  readonly level: Level;
}

/** What stands outside of `http`. Times in ms. */
export interface CoreSettings {
  readonly daemon: boolean;
  /** off: one thread does it all. */
  readonly masterProcess: boolean;
  readonly pidFile: string;
  /** Whose rights the workers have, where we are root; undefined: `nobody`. */
  readonly user: { readonly name: string; readonly group: string | undefined; readonly place?: string } | undefined;
  readonly workerProcesses: number;
  readonly workerConnections: number;
  readonly workerRlimitNofile: number | undefined;
  /** 0: wait as long as it takes. */
  readonly workerShutdownTimeout: number;
  /** Files only. */
  readonly errorLogs: readonly ErrorLogTarget[];
}

export interface Snapshot {
  readonly core: CoreSettings;
  readonly errorLog: ErrorLog;
  /** Absolute paths of all log files, for the master to open with its own rights. */
  readonly logFiles: readonly string[];
  /** Absolute paths of folders for temporary files, and whether the configuration names them. */
  readonly tempFolders: ReadonlyMap<string, boolean>;
  readonly listeners: readonly ListenSettings[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Run while the snapshot serves new requests. */
  readonly healthChecks: readonly HealthCheck[];
  /** Where its locations lead. */
  readonly proxied: ProxiedLocations;
  /** `websocket_drain_rate`: so many tunnels in a second are asked to go, over all workers. */
  readonly drainRate: number;
  /** What `stub_status` tells, over all workers. */
  readonly connectionCounts: ConnectionCounts;
  /** What `websocket_status` tells, over all workers. */
  readonly tunnelCounts: TunnelCounts;
  /** Exchanges that began under this snapshot and have not ended; the old configuration has gone when it is 0. */
  readonly use: SnapshotUse;
}

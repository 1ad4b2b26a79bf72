// What an exchange leaves behind for variables, for the log, and for the snapshot that it began under.

/** One pass at an upstream, for `$upstream_addr`, `$upstream_status` and their like. */
export interface UpstreamTrace {
  address: string;
  /** The server as the configuration names it; '' where none was chosen. */
  server: string;
  status: number;
  /** ms from the start of this pass; -1 where it did not get so far. */
  /** How long a peer was waited for before. */
  queueTime: number;
  connectTime: number;
  headerTime: number;
  responseTime: number;
  bytesReceived: number;
  bytesSent: number;
  responseLength: number;
}

/** A pass that begins now. */
export function newUpstreamTrace(address: string, server: string): UpstreamTrace {
  return {
    address,
    server,
    status: 0,
    queueTime: -1,
    connectTime: -1,
    headerTime: -1,
    responseTime: -1,
    bytesReceived: 0,
    bytesSent: 0,
    responseLength: 0,
  };
}

/** What a tunnel was, for its line in the access log. Fulfilled by websocket/tunnel.ts. */
export interface TunnelTrace {
  readonly endedBy: string;
  readonly endCause: string;
}

/** How many exchanges began under a snapshot and have not ended. */
export interface SnapshotUse {
  count: number;
  /** Set once the snapshot has been replaced: to call when nothing uses it any more. */
  retired: (() => void) | undefined;
}

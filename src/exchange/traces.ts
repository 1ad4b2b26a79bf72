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

/** What a tunnel is or was, for its lines in the access log: a look at the tunnel itself. Fulfilled by websocket/tunnel.ts. */
export interface TunnelTrace {
  /** In ms since 1970; `endedAt` is 0 as long as it is open. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** '' as long as nothing has begun its end. */
  readonly endedBy: string;
  readonly endCause: string;
  /** Whether there are messages and close codes to tell of. */
  readonly followsFrames: boolean;
  /** How often another peer has taken the place of a lost one, and how many messages of the client may be lost with those. */
  readonly resumes: number;
  readonly lostMessages: number;
  readonly client: TunnelLegTrace;
  readonly peer: TunnelLegTrace;
}

/** One side of a tunnel. Fulfilled by websocket/tunnel-leg.ts. */
export interface TunnelLegTrace {
  /** What came from this side and was passed on. */
  readonly bytes: number;
  readonly messages: number;
  /** The close codes that came from this side, and that it was told; 0: none, 1005: a close frame without one. */
  readonly closeCode: number;
  readonly toldClose: number;
  /** ms between the last ping of ours that it has answered and its pong; -1: there is none. */
  readonly roundTrip: number;
}

/** Which rule has refused an opening handshake: `websocket_allow_origin` or `websocket_subprotocols`. */
export type RefusalCause = 'origin' | 'subprotocol';

/** How many exchanges began under a snapshot and have not ended. */
export interface SnapshotUse {
  count: number;
  /** Set once the snapshot has been replaced: to call when nothing uses it any more. */
  retired: (() => void) | undefined;
}

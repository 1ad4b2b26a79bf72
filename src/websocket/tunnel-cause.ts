// Why a tunnel ended, and by whom: one name each, for the access log, the error log and counters.

export type TunnelSide = 'client' | 'peer';

/**
 * What a side can do to a tunnel. `close` is a close frame, `end` a FIN without one, `reset` an RST or another error; `pong missed`:
 * it was silent for the read timeout and answered no ping.
 */
export type SideCause = `${TunnelSide} ${'close' | 'end' | 'reset' | 'pong missed' | 'protocol error' | 'limit'}`;

/** What we do to a tunnel. `idle` is the read timeout, where it goes by the silence of both sides. */
export type GatewayCause =
  | 'idle'
  | 'send timeout to client'
  | 'send timeout to peer'
  | 'drain'
  | 'removed by reload'
  | 'max age'
  | 'rebalance'
  | 'worker shutdown'
  | 'worker stop';

export type TunnelCause = SideCause | GatewayCause;

/** The causes that lie with one side. */
export interface SideCauses {
  readonly close: SideCause;
  readonly end: SideCause;
  readonly reset: SideCause;
  readonly pongMissed: SideCause;
  readonly sendTimeout: GatewayCause;
}

export const CAUSES_OF: { readonly [side in TunnelSide]: SideCauses } = {
  client: {
    close: 'client close',
    end: 'client end',
    reset: 'client reset',
    pongMissed: 'client pong missed',
    sendTimeout: 'send timeout to client',
  },
  peer: {
    close: 'peer close',
    end: 'peer end',
    reset: 'peer reset',
    pongMissed: 'peer pong missed',
    sendTimeout: 'send timeout to peer',
  },
};

/** Who ended a tunnel that ended so. */
export function whoEnded(cause: TunnelCause): TunnelSide | 'gateway' {
  if (cause.startsWith('client')) return 'client';
  return cause.startsWith('peer') ? 'peer' : 'gateway';
}

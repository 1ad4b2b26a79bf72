// Why a tunnel ended, and by whom: one name each, for the access log, the error log and counters.

/** What the two sides can do to a tunnel. `close` is a close frame, `end` a FIN without one, `reset` an RST or another error. */
export type SideCause = 'client close' | 'client end' | 'client reset' | 'peer close' | 'peer end' | 'peer reset';

/** What we do to a tunnel. */
export type GatewayCause =
  | 'read timeout'
  | 'send timeout to client'
  | 'send timeout to peer'
  | 'worker shutdown'
  | 'worker stop';

export type TunnelCause = SideCause | GatewayCause;

export type TunnelSide = 'client' | 'peer';

/** The causes that lie with one side. */
export interface SideCauses {
  readonly close: SideCause;
  readonly end: SideCause;
  readonly reset: SideCause;
  readonly sendTimeout: GatewayCause;
}

export const CAUSES_OF: { readonly [side in TunnelSide]: SideCauses } = {
  client: { close: 'client close', end: 'client end', reset: 'client reset', sendTimeout: 'send timeout to client' },
  peer: { close: 'peer close', end: 'peer end', reset: 'peer reset', sendTimeout: 'send timeout to peer' },
};

/** Who ended a tunnel that ended so. */
export function whoEnded(cause: TunnelCause): TunnelSide | 'gateway' {
  if (cause.startsWith('client')) return 'client';
  return cause.startsWith('peer') ? 'peer' : 'gateway';
}

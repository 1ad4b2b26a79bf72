// What the error log says of a tunnel that ended by somebody's fault, in nginx's words where it has them.

import type { Level } from '../diagnostics/error-log.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Tunnel } from './tunnel.ts';
import type { TunnelCause } from './tunnel-cause.ts';

export interface Complaint {
  readonly level: Level;
  /** nginx's sentence, up to the comma before `client:`. */
  readonly message: string;
}

/** The faults of upstreams are for those who run us; those of clients nobody can mend. */
interface Fault {
  readonly level: Level;
  /** '' where it was no fault after all. */
  say(tunnel: Tunnel): string;
}

const TIMED_OUT = `timed out (${systemErrorText('ETIMEDOUT')})`;

/** Every cause there is. `undefined` is nobody's fault. */
const FAULTS: { readonly [cause in TunnelCause]: Fault | undefined } = {
  'client close': undefined,
  'client end': { level: 'info', say: (tunnel) => endedSuddenly('client', tunnel) },
  'client reset': { level: 'info', say: wasReset },
  'client pong missed': { level: 'info', say: () => `client ${TIMED_OUT}` },
  'client protocol error': { level: 'info', say: (tunnel) => `client ${brokenRule(tunnel)}` },
  'client limit': { level: 'warn', say: (tunnel) => `client ${brokenRule(tunnel)}` },
  'peer close': undefined,
  'peer end': { level: 'error', say: (tunnel) => endedSuddenly('upstream', tunnel) },
  'peer reset': { level: 'error', say: wasReset },
  'peer pong missed': { level: 'error', say: () => `upstream ${TIMED_OUT}` },
  'peer protocol error': { level: 'error', say: (tunnel) => `upstream ${brokenRule(tunnel)}` },
  'peer limit': { level: 'warn', say: (tunnel) => `upstream ${brokenRule(tunnel)}` },
  idle: { level: 'error', say: () => `upstream ${TIMED_OUT}` },
  'send timeout to client': { level: 'info', say: () => `client ${TIMED_OUT}` },
  'send timeout to peer': { level: 'error', say: () => `upstream ${TIMED_OUT}` },
  drain: undefined,
  'removed by reload': undefined,
  'max age': undefined,
  rebalance: undefined,
  'worker shutdown': undefined,
  'worker stop': undefined,
};

/** All causes by name. */
export const TUNNEL_CAUSES = Object.keys(FAULTS) as readonly TunnelCause[];

/** What is to be said of a tunnel that has ended; undefined: nothing. */
export function complaintOf(tunnel: Tunnel): Complaint | undefined {
  const fault = tunnel.endCause === '' ? undefined : FAULTS[tunnel.endCause];
  const said = fault?.say(tunnel) ?? '';
  if (fault === undefined || said === '') return undefined;
  return { level: fault.level, message: `${said} while proxying upgraded connection` };
}

/** In another protocol than WebSocket that is how one ends. */
function endedSuddenly(who: string, { followsFrames }: Tunnel): string {
  return followsFrames ? `${who} prematurely closed connection` : '';
}

function wasReset({ endError }: Tunnel): string {
  const call = endError !== undefined && 'syscall' in endError && endError.syscall === 'write' ? 'send' : 'recv';
  return `${call}() failed (${systemErrorText(systemErrorCode(endError))})`;
}

function brokenRule({ fault }: Tunnel): string {
  return fault === undefined ? 'broke a rule' : `sent ${fault.text}`;
}

// What each signal asks of the master, and nginx's line for it in the log.

import { constants } from 'node:os';
import type { Level } from '../diagnostics/error-log.ts';

/** What the master can be asked for. `absent`: nginx can, we cannot, and say so. */
export type Wish = 'stop' | 'quit' | 'reload' | 'reopen' | 'absent';

interface Meaning {
  readonly wish: Wish;
  readonly action: string;
  readonly level: Level;
}

type SignalName = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH';

const MEANINGS: Readonly<Record<SignalName, Meaning>> = {
  SIGTERM: { wish: 'stop', action: 'exiting', level: 'notice' },
  SIGINT: { wish: 'stop', action: 'exiting', level: 'notice' },
  SIGQUIT: { wish: 'quit', action: 'shutting down', level: 'notice' },
  SIGHUP: { wish: 'reload', action: 'reconfiguring', level: 'notice' },
  SIGUSR1: { wish: 'reopen', action: 'reopening logs', level: 'notice' },
  SIGUSR2: {
    wish: 'absent',
    action:
      'ignored: sockgate does not replace its own program while it runs; a reload (HUP) takes a new configuration',
    level: 'error',
  },
  // A terminal sends it to whatever runs in its foreground when its window changes: no error.
  SIGWINCH: {
    wish: 'absent',
    action: 'ignored: sockgate has no workers to leave behind for another program',
    level: 'notice',
  },
};

export interface Signalled {
  readonly wish: Wish;
  readonly level: Level;
  /** `signal 1 (SIGHUP) received, reconfiguring`; Node does not tell us who sent it. */
  readonly message: string;
}

/**
 * Listens to all signals of the process. To be called early: SIGUSR1 opens Node's debugger while nobody listens.
 * @returns stops listening
 */
export function onSignals(received: (signalled: Signalled) => void): () => void {
  const listeners = Object.entries(MEANINGS).map(([name, { wish, action, level }]) => {
    const number = constants.signals[name as SignalName];
    const message = `signal ${number} (${name}) received, ${action}`;
    return [name as SignalName, () => received({ wish, level, message })] as const;
  });
  for (const [name, listener] of listeners) process.on(name, listener);
  return () => {
    for (const [name, listener] of listeners) process.off(name, listener);
  };
}

/** The words of `-s`, and the signal that each sends. */
export const COMMANDED = { stop: 'SIGTERM', quit: 'SIGQUIT', reload: 'SIGHUP', reopen: 'SIGUSR1' } as const;
export type Command = keyof typeof COMMANDED;

// `daemon on`: a detached child becomes the gateway; who started it waits until it listens, and hears what it says until then.

import { spawn } from 'node:child_process';

/** Tells the child what it is. An environment variable, so that the arguments stay those that the user gave. */
const MARK = 'SOCKGATE_DAEMON';

type FromDaemon = { readonly kind: 'print'; readonly text: string } | { readonly kind: 'started' };

/** The way from the daemon to whoever waits for it. */
export interface Starter {
  print(text: string): void;
  /** It may go now. */
  started(): void;
}

/** In the daemon: who waits for it. Undefined in a process that nobody detached. */
export function findStarter(): Starter | undefined {
  const isDaemon = process.env[MARK] !== undefined && process.send !== undefined;
  delete process.env[MARK];
  if (!isDaemon) return undefined;
  const send = (message: FromDaemon): void => {
    if (process.connected) process.send?.(message, undefined, {}, () => {});
  };
  return {
    print: (text) => send({ kind: 'print', text }),
    started: () => {
      send({ kind: 'started' });
      if (process.connected) process.disconnect();
    },
  };
}

export interface DaemonOptions {
  /** What the daemon's standard error output is: the error log, as in nginx; ours; or nothing. */
  readonly errors: number | 'inherit' | 'ignore';
  readonly print: (text: string) => void;
}

/** Starts this program once more, detached. @returns the exit code for this process, once the daemon listens or has given up */
export function startDaemon({ errors, print }: DaemonOptions): Promise<number> {
  const daemon = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', 'ignore', errors, 'ipc'],
  });
  return new Promise((resolve) => {
    daemon.once('error', (error) => {
      print(`sockgate: [emerg] spawn() failed: ${error.message}\n`);
      resolve(1);
    });
    daemon.once('exit', (code) => resolve(code === null || code === 0 ? 1 : code));
    daemon.on('message', (message: FromDaemon) => {
      if (message.kind === 'print') print(message.text);
      else resolve(0);
    });
  });
}

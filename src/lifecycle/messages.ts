// What the master and its worker threads say to each other. Everything is plain data that structured clone can carry.

import type { LogDescriptors } from '../diagnostics/log-files.ts';
import type { Plan } from './engine.ts';
import type { SentSecrets } from './secrets.ts';

/** What a worker thread is born with. */
export interface WorkerBirth {
  /** The URL of the module whose export `engine` it runs. */
  readonly engineUrl: string;
  /** Its number, from 0; a successor has its predecessor's. */
  readonly worker: number;
  readonly secrets: SentSecrets;
  readonly heart: Int32Array;
  readonly connectionNumbers: Int32Array;
  /** Whether it has to ask before it listens, because the process has given its rights up. */
  readonly asksToListen: boolean;
}

/** `round` counts what is asked of a worker; the answer has the same number. */
export type ToWorker =
  /** Build this configuration's snapshot; answer `done` or `failed`. */
  | { readonly kind: 'prepare'; readonly round: number; readonly plan: Plan }
  /** Serve by it; answer `done` or `failed`, and `retired` with this round when nothing uses it any more. */
  | { readonly kind: 'commit'; readonly round: number }
  /** Write to these descriptors from now on; answer `done`. */
  | { readonly kind: 'switch-logs'; readonly round: number; readonly logs: LogDescriptors }
  /** The process has its rights back. */
  | { readonly kind: 'listen-now' }
  /** Leave gently, and end with code 0. */
  | { readonly kind: 'quit'; readonly timeout: number }
  /** End at once, with code 0. */
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'done'; readonly round: number }
  | { readonly kind: 'failed'; readonly round: number; readonly reason: string }
  | { readonly kind: 'retired'; readonly round: number }
  /** It wants to listen; the rights are to be kept up until it says `listened`. */
  | { readonly kind: 'may-listen' }
  | { readonly kind: 'listened' };

/** A worker thread that had an uncaught fault too many ends with this code, and is replaced. */
export const TOO_MANY_FAULTS = 70;

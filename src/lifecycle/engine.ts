// What the lifecycle runs: something that loads configurations and makes gateways. The real one is in sockgate-engine.ts.

import type { Socket } from 'node:net';
import type { Problems } from '../config/errors.ts';
import type { FileBundle, Files } from '../config/files.ts';
import type { LogDescriptors, LogFiles } from '../diagnostics/log-files.ts';
import type { Snapshot } from '../snapshot.ts';
import type { ZoneDirectory, ZoneDirectoryState } from '../zones/zone-directory.ts';
import type { Secrets } from './secrets.ts';

/** Which configuration, and what it is relative to. Plain data: it travels to workers as it is. */
export interface ConfigurationSource {
  /** Absolute. */
  readonly configFile: string;
  /** Absolute, ends in `/`. */
  readonly prefix: string;
  /** The text of `-g`; '' where there is none. */
  readonly globals: string;
  /** Where the error log goes if the configuration does not say: an absolute path, or `stderr`. */
  readonly errorLogPath: string;
}

export interface LoadRequest extends ConfigurationSource {
  readonly files: Files;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  /** Which worker the snapshot is for; -1: the master's, which only checks. */
  readonly worker: number;
  readonly secrets: Secrets;
}

export interface Loaded {
  /** Undefined where there was any error. */
  readonly snapshot: Snapshot | undefined;
  readonly problems: Problems;
  /** The files that were read, in order, each once; for `-T`. */
  readonly fileNames: readonly string[];
}

/** What runs a snapshot in one worker. */
export interface WorkerGateway {
  /** Client connections that are open, tunnels not counted. */
  readonly connections: number;
  readonly tunnels: number;
  /** Serves by this snapshot from now on; `retired` is called when nothing uses it any more, after another one has replaced it. */
  apply(snapshot: Snapshot, retired: () => void): void;
  accept(addressKey: string, socket: Socket): void;
  /** @param shutdownTimeout ms after which all that is left is closed; 0: never */
  quit(shutdownTimeout: number, left: () => void): void;
  /** @param left called when everything is closed and logged */
  stop(left: () => void): void;
}

export interface GatewayContext {
  readonly worker: number;
  readonly secrets: Secrets;
  /** Numbers connections over all workers: one cell, shared. */
  readonly connectionNumbers: Int32Array;
  /** Writes the lines that wait for the end of the turn: to be called before a connection closes. */
  readonly flushLogs: () => void;
}

/** What a module exports as `engine`: every thread loads that module for itself. */
export interface Engine {
  /** Called once in each thread, before anything else. */
  prepare?(): Promise<void>;
  load(request: LoadRequest): Promise<Loaded>;
  createGateway(context: GatewayContext): WorkerGateway;
}

/** What a worker needs to build the snapshot that the master has checked. Holds private keys: never log it. */
export interface Plan {
  readonly source: ConfigurationSource;
  readonly bundle: FileBundle;
  readonly logs: LogDescriptors;
  readonly zones: ZoneDirectoryState;
}

export async function importEngine(url: string): Promise<Engine> {
  const module = (await import(url)) as { readonly engine: Engine };
  await module.engine.prepare?.();
  return module.engine;
}

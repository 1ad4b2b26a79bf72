// The master's part in a configuration: reads it with its own rights, opens its logs, and makes the plan by which workers build it.

import { describe, headline, type Problem } from '../config/errors.ts';
import { DiskFiles, type Files } from '../config/files.ts';
import type { ErrorLog, Level } from '../diagnostics/error-log.ts';
import { type LogFiles, STDERR } from '../diagnostics/log-files.ts';
import type { Snapshot } from '../snapshot.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import type { ConfigurationSource, Engine, Loaded, Plan } from './engine.ts';
import type { Privileges } from './privileges.ts';
import type { Secrets } from './secrets.ts';
import { makeTempFolders } from './temp-folders.ts';

export interface ConfigurationsOptions {
  readonly engine: Engine;
  readonly source: ConfigurationSource;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  readonly privileges: Privileges;
  readonly secrets: Secrets;
}

/** A configuration that is in use, or was. */
export interface Configuration {
  readonly snapshot: Snapshot;
  readonly plan: Plan;
  /** Its number in the zone directory. */
  readonly number: number;
}

/** Read and found good, but nothing of it is open yet. */
export interface Draft {
  readonly snapshot: Snapshot;
  readonly files: DiskFiles;
  readonly number: number;
}

/** What came of reading: a draft where there was no error, and all that is to be said. */
export interface Reading extends Loaded {
  readonly draft: Draft | undefined;
}

/** Reads the one configuration of this process, again at each reload. */
export class Configurations {
  readonly #options: ConfigurationsOptions;

  constructor(options: ConfigurationsOptions) {
    this.#options = options;
  }

  async read(): Promise<Reading> {
    const { engine, source, logFiles, zones, privileges, secrets } = this.#options;
    const number = zones.beginConfiguration();
    const disk = new DiskFiles();
    const files = new OwnersFiles(disk, privileges);
    const loaded = await engine.load({ ...source, files, logFiles, zones, worker: -1, secrets });
    const { snapshot } = loaded;
    if (snapshot === undefined) zones.endConfiguration(number);
    return { ...loaded, draft: snapshot === undefined ? undefined : { snapshot, files: disk, number } };
  }

  /** Opens its logs, and makes its folders for temporary files. @throws LogFileError, TempFolderError */
  open({ snapshot, files, number }: Draft): Configuration {
    const { source, logFiles, zones, privileges } = this.#options;
    privileges.asOwner(() => logFiles.open(logPaths(snapshot)));
    makeTempFolders(snapshot.tempFolders, snapshot.core.user, privileges);
    return {
      snapshot,
      number,
      plan: { source, bundle: files.bundle(), logs: logFiles.descriptors(), zones: zones.state() },
    };
  }

  /** Opens its error log alone. @throws LogFileError */
  openErrorLog({ snapshot }: Draft): ErrorLog {
    const { logFiles, privileges } = this.#options;
    privileges.asOwner(() => logFiles.open(snapshot.core.errorLogs.map(({ path }) => path)));
    return snapshot.errorLog;
  }

  /** It has gone from all workers, or never came to them. */
  forget({ number }: Draft | Configuration): void {
    this.#options.zones.endConfiguration(number);
  }
}

/** The log files that a configuration names; and the standard error output, for what no log file takes. */
export function logPaths({ logFiles, core }: Snapshot): Set<string> {
  return new Set([...logFiles, ...core.errorLogs.map(({ path }) => path), STDERR]);
}

/** Takes the rights back for each single file, so that no other thread has them for longer than that. */
class OwnersFiles implements Files {
  readonly #files: Files;
  readonly #privileges: Privileges;

  constructor(files: Files, privileges: Privileges) {
    this.#files = files;
    this.#privileges = privileges;
  }

  read(path: string): Buffer {
    return this.#privileges.asOwner(() => this.#files.read(path));
  }

  glob(pattern: string): readonly string[] {
    return this.#privileges.asOwner(() => this.#files.glob(pattern));
  }

  exists(path: string): boolean {
    return this.#privileges.asOwner(() => this.#files.exists(path));
  }

  lookUp(host: string): readonly string[] | undefined {
    return this.#files.lookUp(host);
  }

  lookUpAsked(): Promise<boolean> {
    return this.#files.lookUpAsked();
  }
}

/** A broken file of a megabyte must fill neither a screen nor a log. */
const MOST_REPORTED = 100;
/** What nginx shows on the terminal. */
const SHOWN: ReadonlySet<Level> = new Set(['emerg', 'crit', 'warn', 'notice']);

/**
 * Says what was found: sentences into the log, with the lines they are about to the terminal.
 * @param print undefined: there is no terminal any more
 */
export function reportProblems(problems: readonly Problem[], log: ErrorLog, print?: (text: string) => void): void {
  for (const problem of problems.slice(0, MOST_REPORTED)) {
    log.write(problem.level, headline(problem));
    if (SHOWN.has(problem.level)) print?.(`sockgate: ${describe(problem)}\n`);
  }
  if (problems.length > MOST_REPORTED) print?.(`sockgate: … and ${problems.length - MOST_REPORTED} more\n`);
}

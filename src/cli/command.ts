// The command: reads the options and does the one thing that they ask for.

import { existsSync, writeSync } from 'node:fs';
import type { ErrorLog, Level } from '../diagnostics/error-log.ts';
import { ErrorLogFile } from '../diagnostics/error-log-file.ts';
import { LogFileError, type LogFiles, STDERR } from '../diagnostics/log-files.ts';
import { MirroredLog } from '../diagnostics/mirrored-log.ts';
import { Configurations, type Draft, type Reading, reportProblems } from '../lifecycle/configuration.ts';
import { findStarter, type Starter, startDaemon } from '../lifecycle/daemon.ts';
import { type ConfigurationSource, type Engine, importEngine } from '../lifecycle/engine.ts';
import { createLogFiles } from '../lifecycle/log-faults.ts';
import { Master, StartError } from '../lifecycle/master.ts';
import { Privileges } from '../lifecycle/privileges.ts';
import { createSecrets } from '../lifecycle/secrets.ts';
import type { Command } from '../lifecycle/signals.ts';
import { ZoneDirectory } from '../zones/zone-directory.ts';
import { checkConfig } from './check-config.ts';
import { OptionError, type Options, parseOptions } from './options.ts';
import { CONFIG_FILES, findSource } from './paths.ts';
import { sendSignal } from './send-signal.ts';
import { buildText, helpText, versionText } from './version.ts';

/**
 * Runs the command.
 * @param args without the program's name
 * @param engineUrl the module that exports `engine`
 * @returns the exit code, once there is nothing more to do
 */
export async function runCommand(args: readonly string[], engineUrl: string): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) return 1;
  if (options.version) {
    print(versionText());
    if (options.help) print(helpText());
    if (options.build) print(buildText());
    if (!options.test) return 0;
  }
  return new CommandRun(options, engineUrl, await importEngine(engineUrl)).run();
}

function readOptions(args: readonly string[]): Options | undefined {
  try {
    return parseOptions(args);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    print(`sockgate: ${error.message}\n`);
    return undefined;
  }
}

/** A command that needs the configuration. */
class CommandRun {
  readonly #options: Options;
  readonly #engineUrl: string;
  readonly #engine: Engine;
  readonly #source: ConfigurationSource;
  readonly #starter: Starter | undefined = findStarter();
  readonly #print: (text: string) => void;
  readonly #log: ErrorLog;
  readonly #logFiles: LogFiles = createLogFiles({ log: () => this.#master?.log ?? this.#log, perTurn: false });
  readonly #zones = ZoneDirectory.create();
  readonly #privileges = new Privileges();
  readonly #secrets = createSecrets();
  readonly #configurations: Configurations;
  #master: Master | undefined = undefined;

  constructor(options: Options, engineUrl: string, engine: Engine) {
    this.#options = options;
    this.#engineUrl = engineUrl;
    this.#engine = engine;
    this.#source = findSource(options);
    this.#print = this.#starter?.print ?? print;
    this.#log = this.#openLog();
    this.#configurations = new Configurations({ engine, source: this.#source, ...this.#parts });
  }

  get #parts() {
    return { logFiles: this.#logFiles, zones: this.#zones, privileges: this.#privileges, secrets: this.#secrets };
  }

  async run(): Promise<number> {
    const reading = await this.#configurations.read();
    const { draft, problems } = reading;
    // Who started a daemon has said it already.
    if (draft === undefined || this.#starter === undefined) reportProblems(problems.all, this.#log, this.#print);
    this.#sayIfNoFile();
    if (this.#options.test) return this.#check(reading);
    if (draft === undefined) return 1;
    const { signal } = this.#options;
    if (signal !== undefined) return this.#send(signal, draft);
    if (draft.snapshot.core.daemon && this.#starter === undefined) return this.#daemonize(draft);
    return this.#serve(draft);
  }

  /** The log until the configuration's own: the file of `-e`, where it can be had. */
  #openLog(): ErrorLog {
    const { errorLogPath: path } = this.#source;
    // On the terminal each line is printed in any case.
    if (path === STDERR) return new ErrorLogFile([]);
    const level: Level = this.#options.test ? 'info' : 'notice';
    try {
      this.#logFiles.open([path]);
      return new ErrorLogFile([{ file: this.#logFiles.file(path), level }]);
    } catch (error) {
      if (!(error instanceof LogFileError)) throw error;
      // Who started a daemon has said this, too.
      if (this.#starter === undefined) this.#sayNoErrorLog(error);
      return new ErrorLogFile([]);
    }
  }

  #sayIfNoFile(): void {
    const { prefix, configFile } = this.#source;
    if (this.#options.configFile !== undefined || existsSync(configFile)) return;
    const names = CONFIG_FILES.map((name) => `"${name}"`).join(' nor ');
    this.#print(
      `sockgate: neither ${names} is in ${prefix}: name a configuration with -c, or another prefix with -p\n`,
    );
  }

  #check(reading: Reading): Promise<number> {
    const log = new MirroredLog(this.#log, this.#print);
    const check = { options: this.#options, configFile: this.#source.configFile, log, print: this.#print, write };
    return checkConfig(reading, { ...check, configurations: this.#configurations, privileges: this.#privileges });
  }

  #send(signal: Command, draft: Draft): number {
    return sendSignal(signal, draft.snapshot.core.pidFile, new MirroredLog(this.#errorLogOf(draft), this.#print));
  }

  async #daemonize(draft: Draft): Promise<number> {
    this.#errorLogOf(draft);
    const paths = draft.snapshot.core.errorLogs.map(({ path }) => path);
    const descriptors = this.#logFiles.descriptors();
    const errors = paths.includes(STDERR) ? 'inherit' : (descriptors.get(paths[0] ?? '') ?? 'ignore');
    return startDaemon({ errors, print: this.#print });
  }

  /** The error log of the configuration; where it cannot be opened, or is the terminal, the one that there is. */
  #errorLogOf(draft: Draft): ErrorLog {
    if (draft.snapshot.core.errorLogs.some(({ path }) => path === STDERR)) return this.#log;
    try {
      return this.#configurations.openErrorLog(draft);
    } catch (error) {
      if (!(error instanceof LogFileError)) throw error;
      this.#sayNoErrorLog(error);
      return this.#log;
    }
  }

  #sayNoErrorLog(error: LogFileError): void {
    this.#print(`sockgate: [alert] could not open error log file: ${error.message}\n`);
  }

  async #serve(draft: Draft): Promise<number> {
    process.title = ['sockgate', ...process.argv.slice(2)].join(' ');
    const master = new Master({
      ...this.#parts,
      engine: this.#engine,
      engineUrl: this.#engineUrl,
      configurations: this.#configurations,
      print: this.#print,
    });
    this.#master = master;
    try {
      await Promise.race([master.start(draft), master.ended]);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return 1;
    }
    this.#starter?.started();
    return master.ended;
  }
}

/** To the standard error output; what cannot be said there is lost. */
function print(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // A closed or full pipe: nobody listens.
  }
}

/** To the standard output, all of it. */
function write(bytes: Uint8Array | string): void {
  process.stdout.write(bytes);
}

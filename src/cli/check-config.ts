// -t and -T: says whether a configuration could be run, and prints it.

import { printConfiguration } from '../config/print.ts';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { checkAddresses } from '../lifecycle/bind-check.ts';
import type { Configurations, Reading } from '../lifecycle/configuration.ts';
import type { Privileges } from '../lifecycle/privileges.ts';
import type { Options } from './options.ts';

export interface CheckOptions {
  readonly options: Options;
  readonly configFile: string;
  readonly configurations: Configurations;
  readonly privileges: Privileges;
  readonly log: ErrorLog;
  /** To the standard error output. */
  readonly print: (text: string) => void;
  /** To the standard output. */
  readonly write: (bytes: Uint8Array | string) => void;
}

/** @returns the exit code */
export async function checkConfig(reading: Reading, check: CheckOptions): Promise<number> {
  const { options, configFile, print } = check;
  const say = (text: string): void => print(`sockgate: ${text}\n`);
  if (reading.draft !== undefined && !options.quiet) say(`the configuration file ${configFile} syntax is ok`);
  if (!(await couldRun(reading, check))) {
    say(`configuration file ${configFile} test failed`);
    return 1;
  }
  if (!options.quiet) say(`configuration file ${configFile} test is successful`);
  if (options.dump) dump(reading, check);
  return 0;
}

/** What nginx tries as well: the user, the log files, the addresses; an address that is in use may be that of the running gateway. */
async function couldRun({ draft }: Reading, { configurations, privileges, log }: CheckOptions): Promise<boolean> {
  if (draft === undefined) return false;
  try {
    privileges.check(draft.snapshot.core.user);
    configurations.open(draft);
  } catch (error) {
    log.write('emerg', (error as Error).message);
    return false;
  }
  const addresses = draft.snapshot.listeners.map(({ address }) => address);
  return checkAddresses(addresses, { log, testOnly: true });
}

function dump({ draft, fileNames }: Reading, { write }: CheckOptions): void {
  if (draft !== undefined) write(printConfiguration(fileNames, draft.files));
}

// A reload: a new configuration is read, checked and given to the workers in place; where anything is wrong, the old one goes on.

import type { ErrorLog } from '../diagnostics/error-log.ts';
import type { LogFiles } from '../diagnostics/log-files.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import { checkAddresses } from './bind-check.ts';
import { type Configuration, type Configurations, type Draft, logPaths, reportProblems } from './configuration.ts';
import type { Crew } from './crew.ts';
import type { Privileges } from './privileges.ts';

export interface ReloadOptions {
  readonly configurations: Configurations;
  readonly crew: Crew;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  readonly privileges: Privileges;
  readonly log: ErrorLog;
  readonly current: Configuration;
}

/** @returns the configuration that is in use afterwards: the new one, or the same as before. Says in the log what went wrong */
export async function reload(options: ReloadOptions): Promise<Configuration> {
  options.log.write('notice', 'reconfiguring');
  const { draft, problems } = await options.configurations.read();
  reportProblems(problems.all, options.log);
  if (draft === undefined) return refuse(options);
  try {
    return await take(draft, options);
  } catch (error) {
    options.configurations.forget(draft);
    options.log.write('emerg', (error as Error).message);
    return refuse(options);
  }
}

function refuse({ log, current }: ReloadOptions): Configuration {
  log.write('error', 'the new configuration is not used, the old one goes on');
  return current;
}

/** @throws where something stands against it; nothing has changed then */
async function take(draft: Draft, options: ReloadOptions): Promise<Configuration> {
  const { configurations, crew, zones, privileges, current } = options;
  const { core } = draft.snapshot;
  privileges.check(core.user);
  const configuration = configurations.open(draft);
  await expectFreeAddresses(draft, options);
  const count = current.snapshot.core.masterProcess ? core.workerProcesses : 1;
  zones.useWorkers(count);
  await crew.change(count, configuration, core.workerShutdownTimeout);
  // From here on the new one is in use, whatever happens.
  if (!sameUser(core.user, current.snapshot.core.user)) changeUser(core.user, options);
  sayWhatStays(draft, options);
  await closeOldLogs(configuration, options);
  return configuration;
}

async function expectFreeAddresses(draft: Draft, { log, privileges, current }: ReloadOptions): Promise<void> {
  const own = current.snapshot.listeners.map(({ address }) => address);
  const known = new Set(own.map(({ key }) => key));
  const fresh = draft.snapshot.listeners.map(({ address }) => address).filter(({ key }) => !known.has(key));
  const done = privileges.raise();
  try {
    if (!(await checkAddresses(fresh, { log, own }))) throw new Error('the addresses to listen on cannot be had');
  } finally {
    done();
  }
}

type User = Configuration['snapshot']['core']['user'];

const sameUser = (one: User, other: User): boolean => one?.name === other?.name && one?.group === other?.group;

function changeUser(user: User, { log, privileges }: ReloadOptions): void {
  try {
    privileges.become(user);
  } catch (error) {
    log.write('alert', (error as Error).message);
  }
}

/** What an open socket keeps until it is closed. */
function sayWhatStays(draft: Draft, { log, current }: ReloadOptions): void {
  const before = new Map(
    current.snapshot.listeners.map((listener) => [listener.address.key, listener.options.backlog]),
  );
  for (const { address, options } of draft.snapshot.listeners) {
    const backlog = before.get(address.key) ?? options.backlog;
    if (backlog !== options.backlog)
      log.write('warn', `the backlog of ${address.key} stays ${backlog} until the next start`);
  }
}

/** Only after every worker has let go of them: the number of a closed descriptor may be a client's connection a moment later. */
async function closeOldLogs({ snapshot }: Configuration, { logFiles, crew }: ReloadOptions): Promise<void> {
  const old = logFiles.forget(logPaths(snapshot));
  if (old.count === 0) return;
  await crew.switchLogs(logFiles.descriptors());
  old.close();
}

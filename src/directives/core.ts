// What stands outside of all blocks: processes, rights, the pid file, the error log.
// https://nginx.org/en/docs/ngx_core_module.html

import { cpus } from 'node:os';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { argument, flag, integer, optional, path, time, word } from '../config/values.ts';
import { LEVELS, type Level as LogLevel } from '../diagnostics/error-log.ts';
import type { ErrorLogTarget } from '../snapshot.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

/** More would only cost memory: zones have one column for each. */
const MAX_WORKERS = 512;

const workersKind = argument('number', 'number | auto', (text) => {
  if (text === 'auto') return Math.max(1, cpus().length);
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new ConfigError('invalid number of "worker_processes"');
  if (value > MAX_WORKERS) throw new ConfigError(`"worker_processes" must be at most ${MAX_WORKERS}`);
  return value;
});

const levelKind = argument('level', LEVELS.join(' | '), (text) => {
  const level = LEVELS.find((known) => known === text);
  if (level === undefined) throw new ConfigError(`invalid log level "${text}"`);
  return level;
});

const table = directives({
  daemon: {
    in: ['main'],
    args: [flag],
    default: 'on',
    doc: 'Whether the gateway leaves the terminal once it listens.',
  },
  master_process: {
    in: ['main'],
    args: [flag],
    default: 'on',
    doc: 'off: one thread does everything, without workers.',
  },
  worker_processes: {
    in: ['main'],
    args: [workersKind],
    default: '1',
    doc: 'How many workers there are; `auto`: one for each core.',
    differs: 'A worker is a thread.',
  },
  pid: {
    in: ['main'],
    args: [path('file')],
    default: 'logs/nginx.pid',
    doc: 'The file that holds the pid of the gateway.',
  },
  user: {
    in: ['main'],
    args: [word('name'), optional(word('group'))],
    doc: 'Whose rights the gateway has once it runs, where it was started by root. Default: nobody.',
    differs: 'The rights are those of the whole process: see SECURITY.md.',
  },
  worker_rlimit_nofile: {
    in: ['main'],
    args: [integer('number')],
    doc: 'The most files and sockets that the gateway may have open.',
    differs: 'Tried once at start; where the system refuses it, that is a warning.',
  },
  worker_shutdown_timeout: {
    in: ['main'],
    args: [time('time')],
    doc: 'How long what is still open may take when the gateway leaves gracefully; then it is closed. Without it: as long as it takes.',
  },
  error_log: {
    in: ['main', 'http', 'server', 'location'],
    args: [path('file'), optional(levelKind)],
    many: true,
    doc: 'Where errors go: a file or `stderr`, from which level on (default: error).',
    differs: '`syslog:` and `memory:` are not there yet.',
  },
});

type Set = SetOf<typeof table>;

export const core = nginxModule('core', {
  directives: table,
  doc: 'https://nginx.org/en/docs/ngx_core_module.html',
  main(set, draft, level) {
    const { workshop } = draft;
    Object.assign(draft.core, {
      daemon: set.daemon,
      masterProcess: set.master_process,
      pidFile: workshop.fromPrefix(set.pid),
      user: set.user === undefined ? undefined : { name: set.user.name, group: set.user.group },
      workerProcesses: set.worker_processes,
      workerRlimitNofile: set.worker_rlimit_nofile,
      workerShutdownTimeout: set.worker_shutdown_timeout ?? 0,
      errorLogs: level.has('error_log') ? errorLogTargets(set, workshop) : [workshop.defaultErrorLog],
    });
    for (const { path: file } of draft.core.errorLogs) workshop.logPaths.add(file);
    workshop.baseErrorLog = workshop.openErrorLog(draft.core.errorLogs);
  },
  location(set, draft, level) {
    const { workshop, parent } = draft;
    const above = parent?.settings.errorLog ?? workshop.baseErrorLog;
    if (level.has('error_log') || (parent === undefined && set.error_log.length > 0)) {
      const targets = errorLogTargets(set, workshop);
      for (const { path: file } of targets) workshop.logPaths.add(file);
      draft.settings.errorLog = workshop.openErrorLog(targets);
    } else draft.settings.errorLog = above;
  },
});

function errorLogTargets(set: Set, workshop: Workshop): ErrorLogTarget[] {
  return set.error_log.map(({ file, level = 'error', at }) => {
    if (/^(syslog|memory):/.test(file)) throw new ConfigError(`"error_log ${file}" is not supported yet`, at);
    return { path: file === 'stderr' ? file : workshop.fromPrefix(file), level: level as LogLevel };
  });
}

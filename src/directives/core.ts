// What stands outside of all blocks: processes, rights, the pid file, the error log.
// https://nginx.org/en/docs/ngx_core_module.html

import { availableParallelism } from 'node:os';
import type { Kind } from '../config/directive.ts';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber } from '../config/quantities.ts';
import type { Argument } from '../config/tree.ts';
import { argument, flag, integer, optional, path, time, word } from '../config/values.ts';
import { LEVELS, type Level as LogLevel } from '../diagnostics/error-log.ts';
import type { ErrorLogTarget, SyslogErrorTarget } from '../snapshot.ts';
import type { Level, SnapshotDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { isSyslog, readSyslog } from './syslog-target.ts';

/** More would only cost memory: zones have one column for each. */
const MAX_WORKERS = 256;

const workersKind = argument('number', 'number | auto', (text, { at }, directive, warn) => {
  if (text === 'auto') return availableParallelism();
  const value = parseNumber(text);
  if (value === undefined) throw new ConfigError(`"${directive}" directive invalid value`);
  if (value > MAX_WORKERS) throw new ConfigError(`"worker_processes" must be at most ${MAX_WORKERS}`);
  if (value === 0) warn('without a worker nobody would be served: there is one', at);
  return Math.max(1, value);
});

/** What a debugging nginx can log apart: to us it is all one. */
const DEBUG_LEVELS: ReadonlySet<string> = new Set(
  ['core', 'alloc', 'mutex', 'event', 'http', 'mail', 'stream'].map((part) => `debug_${part}`),
);

function readLevel({ text, at }: Argument): LogLevel {
  const level = DEBUG_LEVELS.has(text) ? 'debug' : LEVELS.find((known) => known === text);
  if (level === undefined) throw new ConfigError(`invalid log level "${text}"`, at);
  return level;
}

/** nginx takes several, but only of its debugging ones. */
const levelKind: Kind<'level', LogLevel | undefined> = {
  name: 'level',
  syntax: `[${LEVELS.join(' | ')}]`,
  takes: 'any',
  parse: (args) => {
    const [first, second] = args.map(readLevel);
    if (second === undefined || second === 'debug') return first;
    throw new ConfigError(`duplicate log level "${second}"`, args[1]?.at);
  },
};

const table = directives({
  include: {
    in: ['any'],
    args: [path('file')],
    many: true,
    doc: 'What stands in another file, as if it stood here. A name with `*`, `?` or `[…]` means all files that fit it, in the order of their names; relative to the folder of the configuration file.',
  },
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
    differs: 'A worker is a thread. There are at most 512.',
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
    differs:
      'A reload closes no WebSocket and no idle connection, so it is only tunnels of other protocols that have this time then.',
  },
  error_log: {
    in: ['main', 'http', 'server', 'location'],
    args: [path('file'), levelKind],
    many: true,
    doc: 'Where errors go: a file, `stderr`, or `syslog:server=address,facility=…,tag=…,nohostname` over UDP; from which level on (default: error).',
    differs: '`memory:`, which keeps a debugging log, is refused, and so is a syslog server on a `unix:` socket.',
  },
});

type Set = SetOf<typeof table>;
type WrittenLog = Set['error_log'][number];

export const core = nginxModule('core', {
  directives: table,
  doc: 'https://nginx.org/en/docs/ngx_core_module.html',
  main(set, draft, level) {
    const { workshop } = draft;
    const written = workshop.problems.attempt(() => errorLogTargets(set.error_log, workshop)) ?? [];
    // Where no line names a file, the default one is written as well.
    const targets = written.some(isFile) ? written : [...written, workshop.defaultErrorLog];
    setCore(set, draft, targets.filter(isFile));
    warnOfUser(workshop, level);
    workshop.baseErrorLog = workshop.openErrorLog(targets);
  },
  http(set, { workshop }, level) {
    // Whatever is wrong is told here, though no server may inherit it.
    if (level.has('error_log')) errorLogTargets(set.error_log, workshop);
  },
  location(set, draft, level) {
    const { workshop, parent, settings } = draft;
    settings.errorLog = parent?.settings.errorLog ?? workshop.baseErrorLog;
    const isNew = level.has('error_log') || (parent === undefined && set.error_log.length > 0);
    if (isNew) settings.errorLog = workshop.openErrorLog(errorLogTargets(set.error_log, workshop));
  },
});

function setCore(set: Set, { core: settings, workshop }: SnapshotDraft, errorLogs: readonly ErrorLogTarget[]): void {
  Object.assign(settings, {
    daemon: set.daemon,
    masterProcess: set.master_process,
    pidFile: workshop.fromPrefix(set.pid),
    user:
      set.user === undefined
        ? undefined
        : { name: set.user.name, group: set.user.group, place: ` in ${set.user.at.source.file}:${set.user.at.line}` },
    workerProcesses: set.worker_processes,
    workerRlimitNofile: set.worker_rlimit_nofile,
    workerShutdownTimeout: set.worker_shutdown_timeout ?? 0,
    errorLogs,
  });
}

/** By the real user: a master that has given its rights up can still take them back. */
function warnOfUser(workshop: Workshop, level: Level): void {
  if (!level.has('user') || process.getuid?.() === 0) return;
  const sense = 'makes sense only if the master process runs with super-user privileges, ignored';
  workshop.warn(`the "user" directive ${sense}`, level.at('user'));
}

type ErrorTarget = ErrorLogTarget | SyslogErrorTarget;

const isFile = (target: ErrorTarget): target is ErrorLogTarget => 'path' in target;

function errorLogTargets(written: readonly WrittenLog[], workshop: Workshop): ErrorTarget[] {
  const targets = written.map((one) => errorLogTarget(one, workshop)).filter((target) => target !== undefined);
  for (const { path: file } of targets.filter(isFile)) workshop.logPaths.add(file);
  return targets;
}

/** undefined while the host of a syslog server is not known yet. */
function errorLogTarget({ file, level = 'error', at }: WrittenLog, workshop: Workshop): ErrorTarget | undefined {
  if (file.startsWith('memory:')) {
    const mend = 'it keeps a debugging log, and there is none; write to a file';
    throw new ConfigError(`"error_log ${file}" is not supported`, at, { mend });
  }
  if (!isSyslog(file)) return { path: file === 'stderr' ? file : workshop.fromPrefix(file), level };
  const syslog = readSyslog(file, at, workshop);
  return syslog === undefined ? undefined : { syslog, level };
}

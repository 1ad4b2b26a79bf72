// A configuration file to a snapshot: parse, check, inherit, build, freeze. Everything before traffic is on this page.

import { setImmediate } from 'node:timers/promises';
import { checkingConfiguration } from './config/check.ts';
import { Problems } from './config/errors.ts';
import type { Files } from './config/files.ts';
import { readingConfiguration } from './config/parser.ts';
import { mayDefine, refusedDirectives } from './config/refused.ts';
import { Registry } from './config/registry.ts';
import { inSlices } from './config/steps.ts';
import { compileTemplate, type VariableOptions, VariableTable } from './config/template.ts';
import type { Directive } from './config/tree.ts';
import { ErrorLogFile, type LineTaker } from './diagnostics/error-log-file.ts';
import type { LogFiles } from './diagnostics/log-files.ts';
import { allModules } from './directives/all-modules.ts';
import { buildDraft, freezeSnapshot } from './directives/build-snapshot.ts';
import type { Workshop } from './directives/draft.ts';
import { checkConnections } from './directives/events.ts';
import { joinListeners } from './directives/join-listeners.ts';
import type { Module } from './directives/module.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { ErrorLogTarget, Snapshot, SyslogErrorTarget } from './snapshot.ts';
import type { ZoneDirectory } from './zones/zone-directory.ts';

export interface LoadOptions {
  /** Absolute. */
  readonly configFile: string;
  /** Absolute, ends in `/`: what paths of logs, roots and the pid file are relative to. */
  readonly prefix: string;
  /** The text of `-g`; '' where there is none. */
  readonly globals: string;
  /** Where errors go if the configuration does not say: an absolute path, or `stderr`. */
  readonly errorLogPath: string;
  readonly files: Files;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  /** Which worker the snapshot is for; -1: the master's, which only checks. */
  readonly worker: number;
  readonly secrets: { readonly ticketKeys: Buffer; readonly stickyKey: Buffer };
}

export interface LoadedSnapshot {
  /** Undefined where anything refuses the configuration. */
  readonly snapshot: Snapshot | undefined;
  readonly problems: Problems;
  /** The files that were read, in order, each once; for `-T`. */
  readonly fileNames: readonly string[];
}

/** nginx demands `events`, if only an empty one. */
const registry = new Registry(allModules, { required: ['events'] });

/**
 * Loads a configuration. Mistakes are in `problems`, never thrown. A round ends with host names that
 * nobody knew yet, the next one has their addresses; so there are at most as many rounds as names.
 */
export async function loadSnapshot(options: LoadOptions): Promise<LoadedSnapshot> {
  for (;;) {
    const loaded = await loadOnce(options);
    if (!(await options.files.lookUpAsked())) return loaded;
  }
}

async function loadOnce(options: LoadOptions): Promise<LoadedSnapshot> {
  const problems = new Problems();
  const { files, logFiles, configFile, globals } = options;
  const { root, fileNames } = await inSlices(
    readingConfiguration({ file: configFile, files, problems, parameters: globals }),
  );
  if (fileNames.length === 0) return { snapshot: undefined, problems, fileNames };
  await setImmediate();
  await inSlices(checkingConfiguration(root, registry, problems));
  await setImmediate();
  const workshop = makeWorkshop(options, problems);
  const draft = await inSlices(buildDraft(allModules, workshop, root));
  await setImmediate();
  const listeners = await inSlices(joinListeners(draft.http));
  checkConnections(draft.core, listeners.length, problems);
  await setImmediate();
  let refused: readonly Directive[] | undefined;
  const pardoned = (name: string): boolean => {
    refused ??= refusedDirectives(root);
    return mayDefine(refused, name);
  };
  for (const unknown of workshop.variables.resolve(pardoned)) problems.add(unknown);
  if (problems.failed) return { snapshot: undefined, problems, fileNames };
  for (const path of workshop.logPaths) logFiles.file(path).buffer(workshop.logBuffers.get(path));
  return { snapshot: freezeSnapshot(draft, listeners), problems, fileNames };
}

function makeWorkshop(options: LoadOptions, problems: Problems): Workshop {
  const { prefix, configFile, files, logFiles } = options;
  const configFolder = configFile.slice(0, configFile.lastIndexOf('/') + 1);
  const variables = makeVariables();
  const defaultErrorLog: ErrorLogTarget = { path: options.errorLogPath, level: 'error' };
  const lineTaker = (target: ErrorLogTarget | SyslogErrorTarget): LineTaker =>
    'path' in target ? logFiles.file(target.path) : logFiles.syslog.log(target.syslog);
  const openErrorLog = (targets: readonly (ErrorLogTarget | SyslogErrorTarget)[]) =>
    new ErrorLogFile(targets.map((target) => ({ file: lineTaker(target), level: target.level })));
  return {
    problems,
    files,
    logFiles,
    logPaths: new Set(),
    logBuffers: new Map(),
    tempFolders: new Map(),
    zones: options.zones,
    variables,
    defaultErrorLog,
    baseErrorLog: openErrorLog([defaultErrorLog]),
    openErrorLog,
    worker: options.worker,
    secrets: options.secrets,
    text: (template) => compileTemplate(template, variables),
    fromPrefix: (path) => (path.startsWith('/') ? path : prefix + path),
    fromConfig: (path) => (path.startsWith('/') ? path : configFolder + path),
    lookUp: (host) => files.lookUp(host),
    error: (message, at, mend) => problems.error(message, at, mend === undefined ? {} : { mend }),
    warn: (message, at, mend) => problems.warn(message, at, mend === undefined ? {} : { mend }),
  };
}

function optionsOf({ settable, changeable }: Module, name: string): VariableOptions {
  const set = settable[name];
  return set === undefined ? { changeable: changeable.includes(name) } : { set };
}

function makeVariables(): VariableTable<Exchange> {
  const variables = new VariableTable<Exchange>({
    captures: (exchange, n) => exchange.captures?.[n],
    cache: (exchange) => {
      exchange.variableCache ??= [];
      return exchange.variableCache;
    },
  });
  for (const module of allModules) {
    for (const [name, get] of Object.entries(module.variables)) {
      if (name.endsWith('*')) variables.definePrefix(name.slice(0, -1), get);
      else variables.define(name, (exchange) => get(exchange, ''), optionsOf(module, name));
    }
  }
  return variables;
}

// Loaded into the gateway before it starts (`--import`): a worker that is asked for `/die` ends there and then.

import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const entry = process.env['SOCKGATE_ENTRY'];
const main = entry === undefined ? new URL('../../src/cli/main.ts', import.meta.url) : pathToFileURL(entry);
const phasesModule = new URL(`../route/phases${fileURLToPath(main).slice(-3)}`, main);
const { Phases } = (await import(phasesModule.href)) as typeof import('../../src/route/phases.ts');
const { start } = Phases.prototype;

Phases.prototype.start = function (this: InstanceType<typeof Phases>, exchange): void {
  // In a worker it ends the thread alone.
  if (exchange.uri === '/die' && !isMainThread) process.exit(3);
  start.call(this, exchange);
};

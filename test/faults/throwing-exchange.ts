// Loaded into the gateway before it starts (`--import`): makes it throw, at once or later, for requests that ask for it. A fault of our own.

import { fileURLToPath, pathToFileURL } from 'node:url';

const entry = process.env['SOCKGATE_ENTRY'];
const main = entry === undefined ? new URL('../../src/cli/main.ts', import.meta.url) : pathToFileURL(entry);
const exchangeModule = new URL(`../exchange/exchange${fileURLToPath(main).slice(-3)}`, main);
const { Exchange } = (await import(exchangeModule.href)) as typeof import('../../src/exchange/exchange.ts');
const { sendHead } = Exchange.prototype;

Exchange.prototype.sendHead = function (this: InstanceType<typeof Exchange>): void {
  if (this.uri === '/throws') throw new Error('injected: at once');
  if (this.uri === '/throws-later') setImmediate(() => fail('injected: later'));
  if (this.uri === '/rejects') void Promise.reject(new Error('injected: rejected'));
  sendHead.call(this);
};

function fail(message: string): never {
  throw new Error(message);
}

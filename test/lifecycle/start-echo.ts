// Starts the real command with the engine of the tests.

import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Sockgate, type SockgateOptions } from '../support/start-sockgate.ts';
import type { EchoConfig } from './echo-engine.ts';

const ENTRY = fileURLToPath(new URL('./echo-main.ts', import.meta.url));

export function prepareEcho(t: TestContext, config: EchoConfig, options: Partial<SockgateOptions> = {}): Sockgate {
  return new Sockgate(t, { conf: JSON.stringify(config), bare: true, entry: ENTRY, ...options });
}

export async function startEcho(
  t: TestContext,
  config: EchoConfig,
  options: Partial<SockgateOptions> = {},
): Promise<Sockgate> {
  const sockgate = prepareEcho(t, config, options);
  await sockgate.start();
  return sockgate;
}

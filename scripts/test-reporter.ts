// A reporter for node:test: one line of JSON for each test that passed, failed or was left out.

import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export type TestLine =
  | { readonly kind: 'passed'; readonly name: string }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string }
  | { readonly kind: 'left out'; readonly name: string; readonly reason: string };

type Ended = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>;

/** These only repeat what their own tests have said. */
const ECHOES = new Set(['subtestsFailed']);

export async function* testReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:start') names.length = event.data.nesting;
    if (event.type === 'test:start') names.push(event.data.name);
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const line = lineOf(event, [...names.slice(0, event.data.nesting), event.data.name].join(' › '));
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

// biome-ignore lint/style/noDefaultExport: Node takes a reporter as nothing else
export { testReporter as default };

function lineOf(event: Ended, name: string): TestLine | undefined {
  const { skip, todo, details } = event.data;
  const why = skip ?? todo;
  if (why !== undefined && why !== false)
    return { kind: 'left out', name, reason: why === true ? 'no reason given' : why };
  if (event.type === 'test:fail') return failure(event.data.details.error, name);
  return details.type === 'suite' ? undefined : { kind: 'passed', name };
}

function failure(error: Error, name: string): TestLine | undefined {
  const { failureType } = error as Error & { failureType?: string };
  if (failureType !== undefined && ECHOES.has(failureType)) return undefined;
  return { kind: 'failed', name, message: inspect(error.cause ?? error, { depth: 4 }) };
}

// Filters of a body one behind the other: where bytes, ends, drains and closes go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyFilter, BodyFilters } from '../../src/exchange/body-filter.ts';

/** Puts its name before what it passes on, and holds back while it is told to. */
class Naming extends BodyFilter {
  readonly #name: string;
  readonly #told: string[];
  held = 0;

  constructor(name: string, told: string[]) {
    super();
    this.#name = name;
    this.#told = told;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const text = Buffer.from(this.#name + Buffer.from(bytes.subarray(start, end)).toString());
    return this.outlet.write(text, 0, text.length);
  }

  end(): void {
    this.#told.push(`end of ${this.#name}`);
    this.outlet.end();
  }

  override close(): void {
    this.#told.push(`close of ${this.#name}`);
  }

  get pendingBytes(): number {
    return this.held;
  }
}

function chain() {
  const told: string[] = [];
  let open = true;
  const client = {
    write: (bytes: Uint8Array, start: number, end: number) => {
      told.push(Buffer.from(bytes.subarray(start, end)).toString());
      return open;
    },
    flush: () => told.push('flush'),
    end: () => told.push('end'),
  };
  const filters = new BodyFilters({ drain: () => told.push('drain') }, client);
  const [first, second] = [new Naming('a', told), new Naming('b', told)];
  filters.add(first);
  filters.add(second);
  const shut = (): void => {
    open = false;
  };
  return { told, filters, first, second, shut };
}

test('bytes pass the filters in the order in which they were added, and so does the end', () => {
  const { told, filters } = chain();
  assert.equal(filters.write(Buffer.from('xyz'), 1, 2), true);
  filters.flush();
  filters.end();
  assert.deepEqual(told, ['bay', 'flush', 'end of a', 'end of b', 'end']);
});

test('that the client takes no more goes back to the source, and that it does again, too', () => {
  const { told, filters, shut } = chain();
  shut();
  assert.equal(filters.write(Buffer.from('x'), 0, 1), false);
  filters.drain();
  assert.deepEqual(told, ['bax', 'drain']);
});

test('what waits in all of them is counted, and all of them are closed', () => {
  const { told, filters, first, second } = chain();
  first.held = 3;
  second.held = 4;
  assert.equal(filters.pendingBytes, 7);
  filters.close();
  assert.deepEqual(told, ['close of a', 'close of b']);
});

// What every kind of channel does, over TCP, unix sockets and TLS. Both kinds run it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type Channel, type ChannelOwner, TLS_PENDING_LIMIT } from '../../src/transport/channel.ts';
import { onOwnerFault } from '../../src/transport/owner-fault.ts';
import { Recorder } from '../support/recorder.ts';
import { type SocketPair, socketPair, type Transport } from '../support/socket-pair.ts';

const TRANSPORTS: readonly Transport[] = ['TCP', 'unix', 'TLSv1.2', 'TLSv1.3'];

/** Makes the kind of channel that is tested of a socket. */
export type OpenChannel = (socket: Duplex) => Channel;

/** Two channels that are each other's ends. */
interface Ends {
  readonly near: Recorder;
  readonly far: Recorder;
  readonly pair: SocketPair;
}

/** A test on one transport: its name, which transports it is for, what it does. */
type Case = (t: TestContext, ends: Ends, transport: Transport) => Promise<void>;

/** Bytes that look like no others. */
function pattern(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let at = 0; at < words.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Sends back what comes, with backpressure. */
function echo(recorder: Recorder): void {
  recorder.onData = ({ channel }, bytes, start, end) => {
    if (!channel.write(bytes, start, end)) channel.pause();
  };
  recorder.onDrain = ({ channel }) => channel.resume();
  recorder.onEnd = ({ channel }) => channel.end();
  recorder.channel.resume();
}

/** Writes all of it, stopping whenever it is told to. */
function writeAll(
  recorder: Recorder,
  bytes: Buffer,
  piece: number,
  seen: { mostPending: number; stops: number },
): void {
  let at = 0;
  const go = (): void => {
    while (at < bytes.length) {
      const upTo = Math.min(bytes.length, at + piece);
      const goOn = recorder.channel.write(bytes, at, upTo);
      at = upTo;
      seen.mostPending = Math.max(seen.mostPending, recorder.channel.pendingBytes);
      if (!goOn) {
        seen.stops++;
        return;
      }
    }
    recorder.channel.end();
  };
  recorder.onDrain = go;
  go();
}

/** An owner with nothing but what is given. */
function ownerWith(some: Partial<ChannelOwner>): ChannelOwner {
  return { channelData() {}, channelEnd() {}, channelDrain() {}, channelClose() {}, ...some };
}

function resets(transport: Transport, limits: Limits): boolean {
  return transport === 'TCP' || (isTls(transport) && limits.neverResetsTls !== true);
}

const isTls = (transport: Transport): boolean => transport.startsWith('TLS');

/** A full turn of the event loop and some: what was not to come would have come. */
async function aWhile(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 5));
}

/** What a kind of channel cannot do. */
export interface Limits {
  /** By Node's public API a TLS connection cannot be reset; it is closed instead. */
  readonly neverResetsTls?: boolean;
}

/** Runs the suite for one kind of channel. */
export function everyChannel(kind: string, open: OpenChannel, limits: Limits = {}): void {
  for (const transport of TRANSPORTS) {
    for (const [name, run] of Object.entries(cases)) {
      if (run.only !== undefined && !run.only(transport, limits)) continue;
      test(`${kind} over ${transport}: ${name}`, { timeout: 20_000 }, async (t) => {
        const pair = await socketPair(t, transport);
        const near = new Recorder(open(pair.client));
        const far = new Recorder(open(pair.accepted));
        t.after(() => {
          near.channel.destroy();
          far.channel.destroy();
        });
        await run.case(t, { near, far, pair }, transport);
      });
    }
    test(`${kind} over ${transport}: whatever is called, whenever: one close, and nothing after it`, async (t) => {
      const random = randomFrom(20_001);
      for (let round = 0; round < 25; round++) {
        const pair = await socketPair(t, transport);
        const ends = [new Restless(open(pair.client), random), new Restless(open(pair.accepted), random)];
        await Promise.all(ends.map((end) => end.untilClosed()));
        const closes = ends.map(({ calls }) => [calls.at(-1), calls.filter((call) => call === 'close').length]);
        const last = ['close', 1];
        assert.deepEqual(closes, [last, last]);
        pair.server.close();
        await once(pair.server, 'close');
      }
    });
  }
}

/** What may be called on a channel at any time. */
const ANY_CALL: readonly ((channel: Channel, size: number) => void)[] = [
  (channel) => channel.resume(),
  (channel) => channel.resume(),
  (channel) => channel.pause(),
  (channel, size) => channel.write(SOME_BYTES, 0, size),
  (channel, size) => channel.write(SOME_BYTES, 0, size),
  (channel, size) => channel.write(SOME_BYTES, 0, size & 255),
  (channel, size) => channel.writeLatin1('x'.repeat(size & 8191)),
  (channel) => channel.cork(),
  (channel) => channel.uncork(),
  (channel) => channel.setNoDelay(true),
  (channel) => channel.end(),
  (channel) => channel.reset(),
  (channel) => channel.destroy(),
];
const SOME_BYTES = Buffer.alloc(300_000, 'some bytes ');

/** Calls whatever comes up, from timers and from inside the owner's calls, and destroys it in the end. */
class Restless extends Recorder {
  readonly #random: (below: number) => number;
  #left: number;
  readonly #timer: NodeJS.Timeout;

  constructor(channel: Channel, random: (below: number) => number) {
    super(channel);
    this.#random = random;
    this.#left = 20 + random(30);
    this.onData = () => this.#act();
    this.onEnd = () => this.#act();
    this.onDrain = () => this.#act();
    this.onClose = () => clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#act(), 1 + random(4));
    channel.resume();
  }

  #act(): void {
    if (--this.#left < 0) this.channel.destroy();
    else ANY_CALL[this.#random(ANY_CALL.length)]?.(this.channel, this.#random(SOME_BYTES.length));
  }
}

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

const cases: Record<string, { case: Case; only?: (transport: Transport, limits: Limits) => boolean }> = {
  'what is written arrives, in order, in both directions': {
    async case(_t, { near, far }) {
      echo(far);
      near.channel.resume();
      const sent: Buffer[] = [];
      for (let index = 0; index < 500; index++) {
        const bytes = pattern(1 + ((index * 37) % 3000), index + 1);
        sent.push(bytes);
        near.channel.write(bytes, 0, bytes.length);
      }
      const expected = Buffer.concat(sent);
      await near.untilBytes(expected.length);
      assert.ok(near.received.equals(expected));
      assert.ok(far.received.equals(expected));
    },
  },

  'an owner that has ended is told once, when all of it has left, though the other side does not end': {
    async case(_t, { near, far }) {
      const bytes = pattern(20_000_000);
      near.channel.resume();
      near.channel.write(bytes, 0, bytes.length);
      near.channel.end();
      await aWhile();
      assert.equal(near.finishes, 0, 'the other side has not read');
      far.channel.resume();
      await near.until(() => near.finishes > 0);
      assert.equal(near.channel.pendingBytes, 0);
      await far.until(() => far.ended);
      assert.ok(far.received.equals(bytes));
      assert.deepEqual([near.finishes, near.closed], [1, false]);
    },
  },

  'an owner that may close when it has ended loses nothing by that': {
    async case(_t, { near, far }) {
      far.channel.resume();
      near.channel.resume();
      // Behind what TLS itself still sends: who closes with something unread resets, and what the other side has not read yet is lost.
      far.write('go');
      await near.untilBytes(2);
      const channel = near.channel;
      channel.owner = ownerWith({ channelFinished: () => channel.destroy() });
      for (let i = 0; i < 100; i++) channel.writeLatin1('x'.repeat(1000));
      channel.end();
      await far.until(() => far.ended);
      assert.equal(far.bytes, 100_000);
    },
  },

  'part of a buffer, text and nothing at all can be written': {
    async case(_t, { near, far }) {
      far.channel.resume();
      const bytes = Buffer.from('0123456789');
      assert.equal(near.channel.write(bytes, 2, 5), true);
      near.channel.write(bytes, 4, 4);
      near.channel.writeLatin1('');
      near.channel.write(new Uint8Array([65, 66, 67]), 1, 3);
      near.write('caf\u00e9\u00ff');
      await far.untilBytes(10);
      assert.deepEqual(far.received, Buffer.from('234BCcaf\u00e9\u00ff', 'latin1'));
    },
  },

  "the memory is the writer's again at once: ten thousand messages from one overwritten buffer": {
    async case(_t, { near, far }) {
      far.channel.resume();
      const memory = Buffer.alloc(64);
      let expected = '';
      let waits = 0;
      for (let index = 0; index < 10_000; index++) {
        const text = `${index},`;
        memory.fill(0x2d);
        memory.write(text, 7, 'latin1');
        expected += text;
        const goOn = near.channel.write(memory, 7, 7 + text.length);
        memory.fill(0x2e);
        if (!goOn) {
          waits++;
          const drains = near.drains;
          await near.until(() => near.drains > drains);
        }
      }
      await far.untilBytes(expected.length);
      assert.equal(far.text, expected);
      assert.equal(near.drains, waits);
    },
  },

  '8 MB both ways at once: none lost, the writer is stopped, and little waits': {
    async case(_t, { near, far }) {
      const down = pattern(8 * 1024 * 1024, 3);
      const up = pattern(8 * 1024 * 1024, 4);
      const seen = { mostPending: 0, stops: 0 };
      const piece = 48 * 1024;
      writeAll(near, up, piece, seen);
      writeAll(far, down, piece, seen);
      await aWhile();
      near.channel.resume();
      far.channel.resume();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      assert.ok(near.received.equals(down));
      assert.ok(far.received.equals(up));
      assert.ok(seen.stops > 0, 'the writer was never stopped');
      assert.ok(seen.mostPending <= TLS_PENDING_LIMIT + piece, `${seen.mostPending} bytes waited`);
      assert.equal(near.error, undefined);
      assert.equal(far.error, undefined);
    },
  },

  'a single write of 1 MB arrives whole': {
    async case(_t, { near, far }) {
      far.channel.resume();
      const bytes = pattern(1024 * 1024, 9);
      near.channel.write(bytes, 0, bytes.length);
      near.channel.writeLatin1('x'.repeat(200_000));
      await far.untilBytes(bytes.length + 200_000);
      assert.ok(far.received.subarray(0, bytes.length).equals(bytes));
      assert.equal(far.text.slice(bytes.length), 'x'.repeat(200_000));
    },
  },

  'a new channel is paused: nothing comes before resume, and nothing of what came before is lost': {
    async case(_t, { near, far }) {
      assert.equal(far.channel.paused, true);
      near.write('early');
      await aWhile();
      assert.deepEqual(far.calls, []);
      far.channel.resume();
      assert.equal(far.channel.paused, false);
      await far.untilBytes(5);
      assert.equal(far.text, 'early');
    },
  },

  'no data comes after pause, also when it is called from inside channelData; resume goes on where it stopped': {
    async case(_t, { near, far }) {
      const bytes = pattern(300_000, 5);
      far.onData = ({ channel }) => channel.pause();
      near.channel.write(bytes, 0, bytes.length);
      while (far.bytes < bytes.length) {
        const before = far.bytes;
        const chunks = far.chunks.length;
        far.channel.resume();
        await far.until(() => far.bytes > before);
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(far.chunks.length, chunks + 1, 'data came while paused');
      }
      assert.ok(far.received.equals(bytes));
    },
  },

  'pause and resume may be called twice, and right after each other': {
    async case(_t, { near, far }) {
      far.channel.resume();
      far.channel.resume();
      far.channel.pause();
      far.channel.pause();
      near.write('one');
      await aWhile();
      assert.equal(far.bytes, 0);
      far.channel.resume();
      far.channel.pause();
      far.channel.resume();
      await far.untilBytes(3);
      assert.equal(far.text, 'one');
    },
  },

  'end: the other side reads to the last byte, is told, and may still write; when both have ended both close': {
    async case(_t, { near, far }) {
      near.channel.resume();
      far.channel.resume();
      near.write('question');
      near.channel.end();
      await far.until(() => far.ended);
      assert.equal(far.text, 'question');
      assert.deepEqual(far.calls, ['data', 'end']);
      far.write('answer');
      await near.untilBytes(6);
      assert.equal(near.closed, false);
      far.channel.end();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      assert.equal(near.text, 'answer');
      assert.deepEqual(near.calls.at(-1), 'close');
      assert.equal(near.ended, true);
      assert.equal(near.error, undefined);
      assert.equal(far.error, undefined);
      assert.equal(near.channel.destroyed, true);
    },
  },

  'end with much unsent: all of it arrives, then the end': {
    async case(_t, { near, far }) {
      const bytes = pattern(6 * 1024 * 1024, 6);
      near.channel.resume();
      near.channel.write(bytes, 0, bytes.length);
      near.channel.end();
      near.channel.end();
      await aWhile();
      far.channel.resume();
      await far.until(() => far.ended);
      assert.ok(far.received.equals(bytes));
      far.channel.end();
      await near.untilClosed();
      assert.equal(near.error, undefined);
    },
  },

  'what is written after end or destroy is dropped, and nobody is told to wait': {
    async case(_t, { near, far }) {
      far.channel.resume();
      near.write('kept');
      near.channel.end();
      assert.equal(near.write('dropped'), true);
      await far.until(() => far.ended);
      assert.equal(far.text, 'kept');
      assert.equal(near.channel.bytesWritten, 4);
      near.channel.destroy();
      assert.equal(near.write('dropped'), true);
      assert.equal(near.channel.pendingBytes, 0);
    },
  },

  'the end that comes while paused is told after what stands before it': {
    async case(_t, { near, far }) {
      near.write('last words');
      near.channel.end();
      await aWhile();
      assert.deepEqual(far.calls, []);
      far.channel.resume();
      await far.until(() => far.ended);
      assert.deepEqual(far.calls, ['data', 'end']);
      assert.equal(far.text, 'last words');
    },
  },

  'the end that comes while paused from inside channelData waits for resume': {
    async case(_t, { near, far }) {
      far.onData = ({ channel }) => channel.pause();
      far.channel.resume();
      near.write('only');
      near.channel.end();
      await far.untilBytes(4);
      await aWhile();
      assert.equal(far.ended, false);
      far.channel.resume();
      await far.until(() => far.ended);
      assert.equal(far.text, 'only');
    },
  },

  'a reset by the other side is an error, ECONNRESET': {
    only: resets,
    async case(_t, { near, far }) {
      near.channel.resume();
      far.channel.resume();
      near.write('hello');
      await far.untilBytes(5);
      far.channel.reset();
      assert.equal(far.channel.destroyed, true);
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      assert.equal((near.error as NodeJS.ErrnoException).code, 'ECONNRESET');
      assert.equal(near.calls.at(-1), 'close');
      assert.equal(far.error, undefined);
    },
  },

  'reset closes also what cannot be reset': {
    only: (transport, limits) => !resets(transport, limits),
    async case(_t, { near, far }) {
      near.channel.resume();
      near.onEnd = ({ channel }) => channel.end();
      far.channel.reset();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
    },
  },

  'reset right behind end closes at once': {
    async case(_t, { near, far }) {
      near.channel.resume();
      far.channel.resume();
      far.onEnd = ({ channel }) => channel.end();
      near.write('last words');
      near.channel.end();
      near.channel.reset();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      assert.equal(near.error, undefined);
    },
  },

  'writing to a connection that was reset ends in an error, not in a crash': {
    async case(_t, { near, far }) {
      far.channel.destroy();
      await far.untilClosed();
      const bytes = pattern(100_000);
      const more = setInterval(() => near.channel.write(bytes, 0, bytes.length), 1);
      await near.untilClosed();
      clearInterval(more);
      assert.ok(near.error instanceof Error);
      assert.match(String((near.error as NodeJS.ErrnoException).code), /^(ECONNRESET|EPIPE)$/);
    },
  },

  'destroy: channelClose comes once, last, and not from inside the call': {
    async case(_t, { near, far }) {
      far.channel.resume();
      far.onEnd = ({ channel }) => channel.end();
      near.channel.destroy();
      assert.equal(near.channel.destroyed, true);
      assert.equal(near.closed, false);
      near.channel.destroy(new Error('too late'));
      near.channel.end();
      near.channel.reset();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      await aWhile();
      assert.deepEqual(near.calls, ['close']);
      assert.equal(near.error, undefined);
    },
  },

  'destroy with an error gives it to channelClose': {
    async case(_t, { near }) {
      const error = new Error('ours');
      near.channel.destroy(error);
      await near.untilClosed();
      assert.equal(near.error, error);
    },
  },

  'a channel that is destroyed takes every call': {
    async case(_t, { near }) {
      near.channel.destroy();
      const poke = (): void => {
        near.channel.resume();
        near.channel.pause();
        near.channel.cork();
        near.channel.writeLatin1('nothing');
        near.channel.uncork();
        near.channel.setNoDelay(true);
        near.channel.setKeepAlive(true, 10_000);
        near.channel.end();
        near.channel.reset();
      };
      poke();
      await near.untilClosed();
      poke();
      await aWhile();
      assert.deepEqual(near.calls, ['close']);
    },
  },

  'destroy from inside channelData: no more data comes': {
    async case(_t, { near, far }) {
      far.onData = ({ channel }) => channel.destroy();
      far.channel.resume();
      near.channel.resume();
      const bytes = pattern(200_000);
      near.channel.write(bytes, 0, bytes.length);
      await far.untilClosed();
      assert.equal(far.chunks.length, 1);
      await near.until(() => near.ended || near.closed);
    },
  },

  'destroy from inside channelEnd and channelDrain': {
    async case(_t, { near, far }) {
      near.onDrain = ({ channel }) => channel.destroy();
      // Closing with something unread (TLS 1.3 session tickets) would reset the connection.
      near.channel.resume();
      const bytes = pattern(8 * 1024 * 1024);
      assert.equal(near.channel.write(bytes, 0, bytes.length), false);
      far.onEnd = ({ channel }) => channel.destroy();
      far.channel.resume();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      assert.deepEqual(near.calls, ['drain', 'close']);
      assert.ok(far.received.equals(bytes));
      assert.deepEqual(far.calls, ['data', 'end', 'close']);
    },
  },

  'destroy while a write is pending': {
    async case(_t, { near, far }) {
      const bytes = pattern(8 * 1024 * 1024);
      assert.equal(near.channel.write(bytes, 0, bytes.length), false);
      assert.ok(near.channel.pendingBytes > 0);
      near.channel.destroy();
      assert.equal(near.channel.pendingBytes, 0);
      await near.untilClosed();
      await aWhile();
      assert.deepEqual(near.calls, ['close']);
      assert.equal(near.error, undefined);
      far.channel.destroy();
    },
  },

  'the owner may be exchanged, also from inside channelData: the next call goes to the new one': {
    async case(_t, { near, far }) {
      const second: string[] = [];
      let ended: () => void = () => {};
      const end = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const next = ownerWith({
        channelData: (bytes, start, upTo) => second.push(bytes.toString('latin1', start, upTo)),
        channelEnd: () => ended(),
      });
      far.onData = ({ channel }) => {
        channel.owner = next;
      };
      far.channel.resume();
      near.write('first');
      await far.untilBytes(5);
      near.write('second');
      near.channel.end();
      await end;
      assert.equal(far.text, 'first');
      assert.equal(second.join(''), 'second');
      assert.deepEqual(far.calls, ['data']);
    },
  },

  'an owner that throws closes its own channel, with what it threw, and is reported': {
    async case(t, { near, far }) {
      const faults: unknown[] = [];
      const previous = onOwnerFault((fault) => faults.push(fault));
      t.after(() => onOwnerFault(previous));
      const fault = new Error('thrown from channelData');
      far.onData = () => {
        throw fault;
      };
      far.channel.resume();
      near.write('hello');
      await far.untilClosed();
      assert.equal(far.error, fault);
      assert.deepEqual(faults, [fault]);
    },
  },

  'an owner that throws from channelEnd, channelDrain or channelClose does no more harm': {
    async case(t, { near, far }) {
      const faults: string[] = [];
      const previous = onOwnerFault((fault) => faults.push((fault as Error).message));
      t.after(() => onOwnerFault(previous));
      near.onDrain = () => {
        throw new Error('drain');
      };
      near.onClose = () => {
        throw new Error('close');
      };
      far.onEnd = () => {
        throw new Error('end');
      };
      far.channel.resume();
      near.channel.resume();
      const bytes = pattern(8 * 1024 * 1024);
      near.channel.write(bytes, 0, bytes.length);
      await far.untilClosed();
      await aWhile();
      assert.deepEqual(faults.toSorted(), ['close', 'drain', 'end']);
      assert.equal(near.error?.message, 'drain');
      assert.equal(far.error?.message, 'end');
    },
  },

  'a throw that is no Error becomes one': {
    async case(t, { near, far }) {
      const previous = onOwnerFault(() => {});
      t.after(() => onOwnerFault(previous));
      far.onData = () => {
        throw 'a text';
      };
      far.channel.resume();
      near.write('hello');
      await far.untilClosed();
      assert.equal(far.error?.message, 'a text');
    },
  },

  'cork: what is gathered leaves as one': {
    async case(_t, { near, far }) {
      far.channel.resume();
      near.channel.cork();
      assert.equal(near.write('head, '), true);
      assert.equal(near.channel.write(Buffer.from('body'), 0, 4), true);
      await aWhile();
      assert.equal(far.bytes, 0);
      assert.equal(near.channel.uncork(), !isTlsPending(near));
      await far.untilBytes(10);
      assert.deepEqual(far.chunks.map(String), ['head, body']);
    },
  },

  'however much is gathered while corked, uncork tells whether to stop, and a drain comes where it does': {
    async case(_t, { near, far }) {
      const bytes = pattern(1024 * 1024, 12);
      near.channel.cork();
      for (let index = 0; index < 8; index++) assert.equal(near.channel.write(bytes, 0, bytes.length), true);
      assert.equal(near.channel.uncork(), false);
      far.channel.resume();
      await far.untilBytes(8 * bytes.length);
      await near.until(() => near.drains === 1);
      near.channel.cork();
      near.channel.cork();
      near.channel.write(bytes, 0, 70_000);
      if (!near.channel.uncork()) await near.until(() => near.drains === 2);
      assert.equal(near.channel.pendingBytes, 0);
      await far.untilBytes(8 * bytes.length + 70_000);
    },
  },

  'cork after end does not hold back what was written before': {
    async case(_t, { near, far }) {
      const bytes = pattern(6 * 1024 * 1024, 13);
      near.channel.write(bytes, 0, bytes.length);
      near.channel.end();
      near.channel.cork();
      far.channel.resume();
      await far.until(() => far.ended);
      assert.equal(far.bytes, bytes.length);
    },
  },

  'uncork without cork, and end while corked, do what they should': {
    async case(_t, { near, far }) {
      far.channel.resume();
      assert.equal(near.channel.uncork(), true);
      near.channel.cork();
      near.write('held');
      near.channel.end();
      await far.until(() => far.ended);
      assert.equal(far.text, 'held');
    },
  },

  'cork keeps its place behind what is pending': {
    async case(_t, { near, far }) {
      const bytes = pattern(5 * 1024 * 1024, 8);
      assert.equal(near.channel.write(bytes, 0, bytes.length), false);
      near.channel.cork();
      near.write('A');
      near.write('B');
      near.channel.uncork();
      near.write('C');
      far.channel.resume();
      await far.untilBytes(bytes.length + 3);
      assert.ok(far.received.subarray(0, bytes.length).equals(bytes));
      assert.equal(far.text.slice(bytes.length), 'ABC');
      await near.until(() => near.drains === 1);
      assert.equal(near.channel.pendingBytes, 0);
    },
  },

  'writes while one is pending keep their order, and end in one drain': {
    async case(_t, { near, far }) {
      const bytes = pattern(5 * 1024 * 1024, 2);
      assert.equal(near.channel.write(bytes, 0, bytes.length), false);
      let expected = '';
      for (let index = 0; index < 1000; index++) {
        near.write(`${index};`);
        expected += `${index};`;
      }
      far.channel.resume();
      await far.untilBytes(bytes.length + expected.length);
      assert.equal(far.text.slice(bytes.length), expected);
      await near.until(() => near.drains > 0);
      await aWhile();
      assert.equal(near.drains, 1);
      assert.equal(near.channel.pendingBytes, 0);
    },
  },

  'writing from inside channelDrain and channelData': {
    async case(_t, { near, far }) {
      let round = 0;
      const bytes = pattern(3 * 1024 * 1024);
      near.onDrain = ({ channel }) => {
        if (++round === 3) channel.end();
        else while (channel.write(bytes, 0, bytes.length));
      };
      while (near.channel.write(bytes, 0, bytes.length));
      far.onData = ({ channel }) => {
        channel.writeLatin1('.');
      };
      near.channel.resume();
      far.channel.resume();
      await far.until(() => far.ended);
      assert.equal(far.bytes, near.channel.bytesWritten);
      assert.equal(far.bytes % bytes.length, 0);
      assert.ok(round >= 3);
    },
  },

  'it counts the bytes': {
    async case(_t, { near, far }) {
      echo(far);
      near.channel.resume();
      near.write('12345');
      near.channel.write(Buffer.alloc(100), 0, 100);
      await near.untilBytes(105);
      assert.equal(near.channel.bytesWritten, 105);
      assert.equal(near.channel.bytesRead, 105);
      assert.equal(far.channel.bytesRead, 105);
      assert.equal(far.channel.bytesWritten, 105);
      assert.equal(near.channel.pendingBytes, 0);
    },
  },

  'it knows both addresses, the other one also when it is closed': {
    only: (transport) => transport !== 'unix',
    async case(_t, { near, far }) {
      assert.equal(near.channel.remoteAddress, '127.0.0.1');
      assert.equal(near.channel.localAddress, '127.0.0.1');
      assert.equal(near.channel.localPort, far.channel.remotePort);
      assert.equal(near.channel.remotePort, far.channel.localPort);
      assert.ok(near.channel.remotePort > 0);
      const port = far.channel.remotePort;
      far.channel.destroy();
      await far.untilClosed();
      assert.equal(far.channel.remoteAddress, '127.0.0.1');
      assert.equal(far.channel.remotePort, port);
    },
  },

  'a unix socket has no addresses': {
    only: (transport) => transport === 'unix',
    async case(_t, { far }) {
      const { remoteAddress, remotePort, localAddress, localPort } = far.channel;
      assert.deepEqual([remoteAddress, remotePort, localAddress, localPort], ['', 0, '', 0]);
    },
  },

  'tls is there where there is TLS': {
    async case(_t, { near, far }, transport) {
      assert.equal(near.channel.tls?.getProtocol(), isTls(transport) ? transport : undefined);
      assert.equal(far.channel.tls?.getProtocol(), isTls(transport) ? transport : undefined);
      near.channel.setNoDelay(true);
      near.channel.setKeepAlive(true, 60_000);
      near.channel.setKeepAlive(false, 0);
    },
  },

  'the server that accepted it knows when it is gone': {
    async case(_t, { near, far, pair }) {
      const closed = once(pair.server, 'close');
      pair.server.close();
      await aWhile();
      let isClosed = false;
      void closed.then(() => {
        isClosed = true;
      });
      await aWhile();
      assert.equal(isClosed, false);
      near.channel.destroy();
      far.channel.destroy();
      await closed;
    },
  },

  'detach gives the socket back with what was read before what comes': {
    only: (transport) => !isTls(transport),
    async case(_t, { near, far }) {
      far.channel.resume();
      near.write('looked at');
      await far.untilBytes(9);
      const socket = far.channel.detach(Buffer.from('looked at'));
      socket.on('error', () => {});
      assert.equal(far.channel.destroyed, true);
      assert.equal(String(socket.read()), 'looked at');
      socket.destroy();
      near.channel.resume();
      near.onEnd = ({ channel }) => channel.end();
      await near.untilClosed();
      assert.deepEqual(far.calls, ['data']);
    },
  },

  'detach refuses what is not plain, not idle or not open': {
    async case(_t, { near, far }, transport) {
      if (!isTls(transport)) {
        const bytes = pattern(8 * 1024 * 1024);
        near.channel.write(bytes, 0, bytes.length);
      }
      assert.throws(() => near.channel.detach(Buffer.alloc(0)), /can be detached/);
      far.channel.destroy();
      assert.throws(() => far.channel.detach(Buffer.alloc(0)), /can be detached/);
    },
  },
};

function isTlsPending(recorder: Recorder): boolean {
  return recorder.channel.pendingBytes > TLS_PENDING_LIMIT;
}

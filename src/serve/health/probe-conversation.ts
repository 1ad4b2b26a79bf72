// What is said over the WebSocket of a health check: ping, pong, perhaps a message each way, Close.

import { randomBytes } from 'node:crypto';
import type { ProbeOutcome } from '../../upstream/health-check.ts';
import { FrameReader } from '../../websocket/frame-reader.ts';
import { closeFrame, frameHeadLength, pingFrame, pongFrame, writeFrameHead } from '../../websocket/frame-writer.ts';
import { CONTROL_BIT, Opcode } from '../../websocket/opcode.ts';
import { fits, type MatchTests, MOST_EXAMINED } from './match-tests.ts';

const PING_BYTES = 8;
/** More pings of the peer's, and more bytes, than a check has time for: what is written to it must not pile up. */
const MOST_PINGS = 100;
const MOST_BYTES = 64 * MOST_EXAMINED;

/** One after the other: the pong is awaited, then the message, then it is over. */
export class ProbeConversation {
  /** How it ended; undefined: it goes on. */
  outcome: ProbeOutcome | undefined = undefined;
  readonly #tests: MatchTests;
  readonly #send: (frame: Buffer) => void;
  readonly #reader = new FrameReader({ masked: false, rsv1: false });
  readonly #ping = randomBytes(PING_BYTES);
  #hasPong = false;
  #hasGreeted = false;
  /** What has come of the message, as a byte string, and of a control frame. */
  #message = '';
  #control = '';
  #pings = 0;
  #bytes = 0;

  constructor(tests: MatchTests, send: (frame: Buffer) => void) {
    this.#tests = tests;
    this.#send = send;
  }

  /** What is being waited for, for the log. */
  get action(): string {
    return this.#hasPong && this.#tests.expect !== undefined ? 'checking message' : 'waiting for pong';
  }

  begin(): void {
    this.#send(pingFrame(this.#ping, true));
  }

  read(bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader;
    this.#bytes += end - start;
    if (this.#bytes > MOST_BYTES) this.#fail('upstream sends too much');
    for (let at = start; at < end && this.outcome === undefined; ) {
      const inPayload = reader.inPayload && reader.opcode !== Opcode.close;
      const next = reader.advance(bytes, at, end);
      if (inPayload) this.#keep(bytes.toString('latin1', at, next));
      if (reader.violation !== undefined) this.#fail(`upstream sent no valid frame: ${reader.violation}`);
      else if (reader.closed) this.#fail(`upstream closed with code ${reader.closeCode}`);
      else if (reader.atFrameBoundary) this.#frameEnded();
      at = next;
    }
  }

  #keep(payload: string): void {
    if (this.#reader.opcode >= CONTROL_BIT) this.#control += payload;
    else if (this.#message.length < MOST_EXAMINED) this.#message += payload;
  }

  #frameEnded(): void {
    const { opcode, final } = this.#reader;
    if (opcode < CONTROL_BIT) {
      if (final) this.#messageEnded();
      return;
    }
    const payload = Buffer.from(this.#control, 'latin1');
    this.#control = '';
    if (opcode === Opcode.ping) this.#pingCame(payload);
    else if (opcode === Opcode.pong && payload.equals(this.#ping)) this.#pongCame();
  }

  /** Of a server that is asked nothing, the expected message may come before the pong. */
  #messageEnded(): void {
    const { expect } = this.#tests;
    const message = this.#message.slice(0, MOST_EXAMINED);
    this.#message = '';
    if (expect === undefined || !fits(() => expect(message))) return;
    if (this.#hasPong) this.#pass();
    else this.#hasGreeted = true;
  }

  #pingCame(payload: Buffer): void {
    if (++this.#pings > MOST_PINGS) this.#fail('upstream sends too many pings');
    else this.#send(pongFrame(payload, true));
  }

  #pongCame(): void {
    if (this.#hasPong) return;
    this.#hasPong = true;
    const { send, expect } = this.#tests;
    if (send !== undefined) this.#send(messageFrame(send));
    if (expect === undefined || (send === undefined && this.#hasGreeted)) this.#pass();
  }

  #pass(): void {
    const action = this.action;
    this.#send(closeFrame(1000, '', true));
    this.outcome = { passed: true, action };
  }

  #fail(text: string): void {
    this.outcome = { passed: false, action: this.action, reason: { level: 'info', text } };
  }
}

/** A text in one frame, masked (RFC 6455 section 5.3). @param text a byte string, in UTF-8 */
function messageFrame(text: string): Buffer {
  const mask = randomBytes(4);
  const frame = Buffer.allocUnsafe(frameHeadLength(text.length, true) + text.length);
  const begin = writeFrameHead(frame, 0, Opcode.text, text.length, mask);
  frame.write(text, begin, 'latin1');
  for (let i = begin; i < frame.length; i++) frame[i] = (frame[i] as number) ^ (mask[(i - begin) & 3] as number);
  return frame;
}

// Keys of session tickets: from files, or made by ourselves and changed as time goes by.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_session_ticket_key

import { randomFillSync } from 'node:crypto';
import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import type { TicketKey, TicketKeys } from '../transport/ticket-keys.ts';
import type { SessionMemory } from '../zones/session-memory.ts';
import type { Workshop } from './draft.ts';
import { readBytes, type WrittenFile } from './written-file.ts';

const NAME = 16;
/** Bytes of a key of AES-128. */
const AES = 16;
const SHORT = 48;
const LONG = 80;

/** Of several files the first one's key is for new tickets. @throws ConfigError */
export function ticketKeysFromFiles(
  files: readonly string[],
  places: readonly Position[],
  workshop: Workshop,
): TicketKeys {
  const keys = files.map((file, index) => readKey({ file, at: places[index] }, workshop));
  return { current: () => keys[0] as TicketKey, find: (name) => keys.find((key) => key.name.equals(name)) };
}

function readKey(written: WrittenFile, workshop: Workshop): TicketKey {
  const bytes = Buffer.from(readBytes(written, 'session ticket key', workshop));
  if (bytes.length === SHORT)
    return { name: part(bytes, 0, NAME), aes: part(bytes, 16, AES), hmac: part(bytes, 32, 16) };
  if (bytes.length === LONG) return longKey(bytes);
  throw new ConfigError(`"${workshop.fromConfig(written.file)}" must be 48 or 80 bytes`, written.at);
}

/** Made for AES-256; Node has AES-128 alone, which takes the first half. */
function longKey(bytes: Buffer): TicketKey {
  return { name: part(bytes, 0, NAME), hmac: part(bytes, 16, 32), aes: part(bytes, 48, AES) };
}

function part(bytes: Buffer, from: number, length: number): Buffer {
  return bytes.subarray(from, from + length);
}

/** A key as it stands in the memory: until when it is needed (seconds since 1970; 0: not used yet), then its 80 bytes. */
const EXPIRES = 8;
const SLOT = EXPIRES + LONG;
/** Which key is where: the one for new tickets, the one before it, the one after it. */
const CURRENT = 0;
const PREVIOUS = 1;
const NEXT = 2;

/**
 * Keys that all workers share. One is used as long as its predecessor is still needed, that is for the lifetime of a session, and
 * then its successor; what nobody needs any more is overwritten. The successor is made one turn ahead, so that a worker that has
 * not looked for a while knows it.
 */
export class RotatingTicketKeys implements TicketKeys {
  readonly #memory: SessionMemory;
  readonly #lifetime: number;

  /** @param lifetime ms a session may be resumed for */
  constructor(memory: SessionMemory, lifetime: number) {
    this.#memory = memory;
    this.#lifetime = Math.ceil(lifetime / 1000);
  }

  current(): TicketKey {
    const now = Math.floor(Date.now() / 1000);
    return this.#memory.locked(() => {
      const slots = this.#slots();
      if (expiryOf(slots, CURRENT) === 0) begin(slots, now + this.#lifetime);
      if (expiryOf(slots, PREVIOUS) < now) turn(slots);
      setExpiry(slots, CURRENT, Math.max(expiryOf(slots, CURRENT), now + this.#lifetime));
      return keyIn(slots, CURRENT);
    });
  }

  find(name: Buffer): TicketKey | undefined {
    this.current();
    const slots = this.#slots();
    const found = [CURRENT, PREVIOUS].find((slot) => keyBytes(slots, slot).subarray(0, NAME).equals(name));
    return found === undefined ? undefined : keyIn(slots, found);
  }

  #slots(): Buffer {
    return this.#memory.keys;
  }
}

/** The first turn comes at once, and keeps the key. */
function begin(slots: Buffer, expires: number): void {
  randomFillSync(keyBytes(slots, CURRENT));
  keyBytes(slots, CURRENT).copy(keyBytes(slots, NEXT));
  setExpiry(slots, CURRENT, expires);
}

function turn(slots: Buffer): void {
  slotOf(slots, CURRENT).copy(slotOf(slots, PREVIOUS));
  slotOf(slots, NEXT).copy(slotOf(slots, CURRENT));
  randomFillSync(keyBytes(slots, NEXT));
  setExpiry(slots, NEXT, 0);
}

function slotOf(slots: Buffer, slot: number): Buffer {
  return part(slots, slot * SLOT, SLOT);
}

function keyBytes(slots: Buffer, slot: number): Buffer {
  return part(slots, slot * SLOT + EXPIRES, LONG);
}

function expiryOf(slots: Buffer, slot: number): number {
  return slots.readDoubleLE(slot * SLOT);
}

function setExpiry(slots: Buffer, slot: number, seconds: number): void {
  slots.writeDoubleLE(seconds, slot * SLOT);
}

function keyIn(slots: Buffer, slot: number): TicketKey {
  return longKey(Buffer.from(keyBytes(slots, slot)));
}

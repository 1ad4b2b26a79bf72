// Keys of TLS session tickets: several at once, and others as time goes by (RFC 5077 section 5.5).

import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { reportOwnerFault } from './owner-fault.ts';

/** One key. It is a secret: never logged. */
export interface TicketKey {
  /** 16 bytes that stand in the ticket. */
  readonly name: Buffer;
  /** 16 or 32 bytes. */
  readonly hmac: Buffer;
  /** 16 bytes: Node encrypts tickets by AES-128 only. */
  readonly aes: Buffer;
}

/** Which keys there are at the moment. */
export interface TicketKeys {
  /** The one for new tickets. */
  current(): TicketKey;
  /** The one of this name, if it still counts. */
  find(name: Buffer): TicketKey | undefined;
}

/** What Node's SecureContext has inside for this; `enc`: a ticket is being made. */
interface ContextInside {
  onticketkeycallback: (name: Buffer, iv: Buffer, enc: boolean) => TicketAnswer;
  enableTicketKeyCallback(): void;
}

/**
 * 0: there is no such key; 1: encrypt; 2: it is good, and the client shall have a new ticket, for over TLS 1.3 each serves once.
 * Node aborts the process where any of them is missing.
 */
type TicketAnswer = readonly [0 | 1 | 2, hmac: Buffer, aes: Buffer, name: Buffer, iv: Buffer];

const NOTHING = Buffer.alloc(16);
const UNKNOWN: TicketAnswer = [0, NOTHING, NOTHING, NOTHING, NOTHING];

/** The context's tickets are made and read with these keys from now on. */
export function useTicketKeys(context: SecureContext, keys: TicketKeys): void {
  const inside = context.context as ContextInside;
  inside.onticketkeycallback = (name, _iv, enc) => {
    try {
      return enc ? toEncrypt(keys.current()) : toDecrypt(keys, name);
    } catch (fault) {
      reportOwnerFault(fault);
      return UNKNOWN;
    }
  };
  inside.enableTicketKeyCallback();
}

function toEncrypt({ name, hmac, aes }: TicketKey): TicketAnswer {
  return [1, hmac, aes, name, randomBytes(16)];
}

function toDecrypt(keys: TicketKeys, name: Buffer): TicketAnswer {
  const key = keys.find(name);
  return key === undefined ? UNKNOWN : [2, key.hmac, key.aes, key.name, NOTHING];
}

// Keys that all workers share and every reload keeps: made at start, held in memory only, never written, never logged.

import { randomBytes } from 'node:crypto';

export interface Secrets {
  /** 48 bytes: encrypt TLS session tickets, so that every worker resumes what another one began. */
  readonly ticketKeys: Buffer;
  /** 32 bytes: hide which peer a sticky cookie stands for. */
  readonly stickyKey: Buffer;
}

export function createSecrets(): Secrets {
  return { ticketKeys: randomBytes(48), stickyKey: randomBytes(32) };
}

/** As they arrive in a worker, where structured clone has made a Buffer a plain Uint8Array. */
export type SentSecrets = { readonly [Name in keyof Secrets]: Uint8Array };

export function receiveSecrets({ ticketKeys, stickyKey }: SentSecrets): Secrets {
  return { ticketKeys: Buffer.from(ticketKeys), stickyKey: Buffer.from(stickyKey) };
}

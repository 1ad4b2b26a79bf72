// What stands in a TLS session, in the form in which OpenSSL hands sessions out.

import { contentOf, derValueAt, derValuesIn } from './der.ts';

const NO_ID = Buffer.alloc(0);
/** The place of the session id: behind version, protocol and cipher. */
const ID = 3;
/** The tag of the group that the keys were agreed in: [19]. */
const GROUP = 0xb3;

/**
 * OpenSSL's SSL_SESSION_ASN1 (i2d_SSL_SESSION) is a DER sequence: version, protocol, cipher, session id, master key …
 * @returns the id; empty where there is none, or where the bytes are something else
 */
export function sessionId(session: Buffer): Buffer {
  const id = derValuesIn(session, derValueAt(session, 0))[ID];
  return id === undefined ? NO_ID : contentOf(session, id);
}

/** @returns the number of the group (curve) of the key exchange; undefined where it is not told */
export function sessionGroup(session: Buffer): number | undefined {
  const tagged = derValuesIn(session, derValueAt(session, 0)).find(({ tag }) => tag === GROUP);
  const [number] = derValuesIn(session, tagged);
  if (number === undefined || number.end - number.start > 4 || number.end === number.start) return undefined;
  return session.readUIntBE(number.start, number.end - number.start) & 0xffff;
}

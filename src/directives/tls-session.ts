// The id of a TLS session, out of the form in which OpenSSL hands sessions out.

const NO_ID = Buffer.alloc(0);

/**
 * OpenSSL's SSL_SESSION_ASN1 (i2d_SSL_SESSION) is a DER sequence: version, protocol, cipher, session id, master key …
 * @returns the id; empty where there is none, or where the bytes are something else
 */
export function sessionId(session: Buffer): Buffer {
  let value = readValue(session, 0);
  // Into the sequence, then over the three values before the id.
  if (value === undefined) return NO_ID;
  let at = value.start;
  for (let skipped = 0; skipped < 3; skipped++) {
    value = readValue(session, at);
    if (value === undefined) return NO_ID;
    at = value.end;
  }
  value = readValue(session, at);
  return value === undefined ? NO_ID : session.subarray(value.start, value.end);
}

interface Value {
  readonly start: number;
  readonly end: number;
}

/** Where the content of the DER value at `at` stands. */
function readValue(bytes: Buffer, at: number): Value | undefined {
  const first = bytes[at + 1];
  if (first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first - 0x80;
  if (more > 4 || at + 2 + more > bytes.length) return undefined;
  const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
  const start = at + 2 + more;
  return start + length > bytes.length ? undefined : { start, end: start + length };
}

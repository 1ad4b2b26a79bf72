// Reading DER (X.690), as far as certificates and TLS sessions need it: values in their order, never beyond the end.

/** One value: its identifier (of one byte, which is all there is here) and where its content stands. */
export interface DerValue {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** @returns the value that begins at `at` and ends by `limit`; undefined where there is none that is whole */
export function derValueAt(bytes: Buffer, at: number, limit = bytes.length): DerValue | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first - 0x80;
  if (more > 4 || at + 2 + more > limit) return undefined;
  const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
  const start = at + 2 + more;
  return start + length > limit ? undefined : { tag, start, end: start + length };
}

/** The values inside of one, up to the first that is not whole. */
export function derValuesIn(bytes: Buffer, outer: DerValue | undefined): DerValue[] {
  const found: DerValue[] = [];
  if (outer === undefined) return found;
  let value = derValueAt(bytes, outer.start, outer.end);
  while (value !== undefined) {
    found.push(value);
    value = value.end < outer.end ? derValueAt(bytes, value.end, outer.end) : undefined;
  }
  return found;
}

/** Its content. */
export function contentOf(bytes: Buffer, { start, end }: DerValue): Buffer {
  return bytes.subarray(start, end);
}

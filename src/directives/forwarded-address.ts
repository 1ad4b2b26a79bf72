// Whom a chain of trusted proxies acts for: the address that the last of them does not vouch for.

import { addressBytes, addressText, type Networks } from '../addresses.ts';
import type { Headers } from '../http1/headers.ts';

export interface ForwardedAddress {
  readonly address: string;
  /** 0 where it was not told. */
  readonly port: number;
}

/**
 * Goes through the values of a field such as `X-Forwarded-For` from their end: what stands there was said by the proxy that is asking.
 * @param from the address that the connection came from
 * @param values of fields with that name, in the order in which they came
 * @param recursive goes on while the address found is itself a trusted proxy's; else the last one is taken
 * @returns undefined where the first one is not trusted, or what it said is no address
 */
export function forwardedAddress(
  from: string,
  values: readonly string[],
  trusted: Networks,
  recursive: boolean,
): ForwardedAddress | undefined {
  let found: ForwardedAddress | undefined;
  for (let index = values.length - 1; index >= 0; index--) {
    for (let rest = values[index] as string; ; ) {
      if (!trusted.has(found?.address ?? from)) return found;
      const said = lastOf(rest);
      const address = readAddress(said.text);
      if (address === undefined) return found;
      found = address;
      if (!recursive) return found;
      rest = said.before;
      if (rest === '') break;
    }
  }
  return found;
}

function lastOf(list: string): { before: string; text: string } {
  const end = endOf(list, list.length);
  let start = end;
  while (start > 0 && !isSeparator(list, start - 1)) start--;
  return { before: list.slice(0, endOf(list, start)), text: list.slice(start, end) };
}

function endOf(list: string, from: number): number {
  let end = from;
  while (end > 0 && isSeparator(list, end - 1)) end--;
  return end;
}

const isSeparator = (list: string, at: number): boolean => list[at] === ' ' || list[at] === ',';

const WITH_PORT = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/;

/** `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, and with a port behind. */
function readAddress(text: string): ForwardedAddress | undefined {
  const bytes = addressBytes(text) ?? addressBytes(/^\[([^\]]*)\]$/.exec(text)?.[1] ?? '');
  if (bytes !== undefined) return { address: addressText(bytes), port: 0 };
  const [, inBrackets, plain = '', digits = ''] = WITH_PORT.exec(text) ?? [];
  const host = addressBytes(inBrackets ?? plain);
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { address: addressText(host), port };
}

/** The values of all fields of this name, in lower case, each by itself. */
export function valuesOf(headers: Headers, lowerName: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i++) if (headers.lowerNameAt(i) === lowerName) values.push(headers.valueAt(i));
  return values;
}

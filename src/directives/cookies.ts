// Cookies as nginx reads them: of a request by name, of a peer's answer by what it sets. Names know no upper and lower case.

import { lowerCase } from '../config/source.ts';
import type { Headers } from '../http1/headers.ts';

/** `$cookie_name`: the first cookie of that name in all `Cookie` fields. @param lowerName in lower case */
export function requestCookie(headers: Headers, lowerName: string): string | undefined {
  for (let i = 0; i < headers.length; i++) {
    if (headers.lowerNameAt(i) !== 'cookie') continue;
    for (const pair of headers.valueAt(i).split(';')) {
      const value = valueFor(pair, lowerName);
      if (value !== undefined) return value;
    }
  }
  return undefined;
}

/** `$upstream_cookie_name`: the value of the first `Set-Cookie` of that name, without its attributes. */
export function answerCookie(headers: Headers, lowerName: string): string | undefined {
  for (let i = 0; i < headers.length; i++) {
    if (headers.lowerNameAt(i) !== 'set-cookie') continue;
    const value = valueFor(headers.valueAt(i).split(';', 1)[0] as string, lowerName);
    if (value !== undefined) return value;
  }
  return undefined;
}

function valueFor(pair: string, lowerName: string): string | undefined {
  const equals = pair.indexOf('=');
  if (equals < lowerName.length || lowerCase(withoutSpaces(pair.slice(0, equals))) !== lowerName) return undefined;
  return pair.slice(equals + 1).replace(/^ +/, '');
}

/** A tab is a part of the name, as in nginx. No expression: one that looks for spaces at the end tries each run of them again and again. */
function withoutSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === ' ') start++;
  while (end > start && text[end - 1] === ' ') end--;
  return text.slice(start, end);
}

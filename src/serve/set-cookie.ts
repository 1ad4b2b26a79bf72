// A `Set-Cookie` taken apart, so that its attributes can be changed, as nginx's proxy_cookie_… do.

import { lowerCase } from '../config/source.ts';

export interface CookieAttribute {
  name: string;
  /** undefined where no `=` follows the name. */
  value: string | undefined;
}

export interface SetCookie {
  readonly name: string;
  readonly value: string;
  attributes: CookieAttribute[];
}

/** @returns undefined for what is no cookie: no `=` before the first `;` */
export function parseSetCookie(text: string): SetCookie | undefined {
  const [first, ...attributes] = text.split(';').map(readPair) as [CookieAttribute, ...CookieAttribute[]];
  if (first.value === undefined) return undefined;
  return { name: first.name, value: first.value, attributes };
}

function readPair(text: string): CookieAttribute {
  const equals = text.indexOf('=');
  if (equals < 0) return { name: trimmed(text), value: undefined };
  return { name: trimmed(text.slice(0, equals)), value: trimmed(text.slice(equals + 1)) };
}

/** Spaces alone: a cookie may end with any other byte. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) === 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) === 0x20) end--;
  return text.slice(start, end);
}

export function printSetCookie({ name, value, attributes }: SetCookie): string {
  let text = `${name}=${value}`;
  for (const one of attributes) text += one.value === undefined ? `; ${one.name}` : `; ${one.name}=${one.value}`;
  return text;
}

/** What shall become of a cookie's flags: undefined leaves one as it is. */
export interface CookieFlags {
  readonly secure: boolean | undefined;
  readonly httpOnly: boolean | undefined;
  /** '' takes it away. */
  readonly sameSite: 'Strict' | 'Lax' | 'None' | '' | undefined;
}

const SAME_SITES: Readonly<Record<string, CookieFlags['sameSite']>> = {
  'samesite=strict': 'Strict',
  'samesite=lax': 'Lax',
  'samesite=none': 'None',
  nosamesite: '',
};

/** Reads `secure`, `nohttponly`, `samesite=lax` …; what is none of them says nothing. Where two contradict each other, to have it wins, and strict before lax. */
export function flagsOf(words: readonly string[]): CookieFlags {
  const said = words.map(lowerCase);
  const either = (word: string): boolean | undefined =>
    said.includes(word) ? true : said.includes(`no${word}`) ? false : undefined;
  const [, sameSite] = Object.entries(SAME_SITES).find(([word]) => said.includes(word)) ?? [];
  return { secure: either('secure'), httpOnly: either('httponly'), sameSite };
}

/** @returns whether there was anything to do */
export function editFlags(cookie: SetCookie, { secure, httpOnly, sameSite }: CookieFlags): boolean {
  if (secure !== undefined) editFlag(cookie, 'Secure', secure);
  if (httpOnly !== undefined) editFlag(cookie, 'HttpOnly', httpOnly);
  if (sameSite !== undefined) editSameSite(cookie, sameSite);
  return secure !== undefined || httpOnly !== undefined || sameSite !== undefined;
}

function editFlag(cookie: SetCookie, name: string, wanted: boolean): void {
  const isIt = (attribute: CookieAttribute): boolean => lowerCase(attribute.name) === lowerCase(name);
  if (!wanted) cookie.attributes = cookie.attributes.filter((attribute) => !isIt(attribute));
  else if (!cookie.attributes.some(isIt)) cookie.attributes.push({ name, value: undefined });
}

function editSameSite(cookie: SetCookie, wanted: 'Strict' | 'Lax' | 'None' | ''): void {
  const isIt = (attribute: CookieAttribute): boolean => lowerCase(attribute.name) === 'samesite';
  const known = cookie.attributes.find(isIt);
  if (wanted === '') cookie.attributes = cookie.attributes.filter((attribute) => !isIt(attribute));
  else if (known === undefined) cookie.attributes.push({ name: 'SameSite', value: wanted });
  else if (lowerCase(known.value ?? '') !== lowerCase(wanted)) {
    known.name = 'SameSite';
    known.value = wanted;
  }
}

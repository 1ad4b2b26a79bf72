// From the target of a request line to the URI that locations are matched with; and back into text that may stand in a URI.

/** A request's target, read. Byte strings: each character is one byte. */
export interface ParsedUri {
  /** Decoded, slashes merged, dots resolved: nginx's `$uri`. */
  readonly path: string;
  /** What stands between the first `?` and the `#`, as sent: nginx's `$args`. */
  readonly args: string;
  /** Nothing had to be decoded or resolved: `path` is what the client sent. */
  readonly simple: boolean;
}

const PLAIN = 0;
const SLASH = 1;
const DOT = 2;
/** `%` and `#`: the path must be looked at closely. */
const SPECIAL = 3;
const QUESTION = 4;
const INVALID = 5;

const CHARACTERS = new Uint8Array(256);
CHARACTERS.fill(INVALID, 0, 0x21);
CHARACTERS[0x7f] = INVALID;
CHARACTERS['/'.charCodeAt(0)] = SLASH;
CHARACTERS['.'.charCodeAt(0)] = DOT;
CHARACTERS['%'.charCodeAt(0)] = SPECIAL;
CHARACTERS['#'.charCodeAt(0)] = SPECIAL;
CHARACTERS['?'.charCodeAt(0)] = QUESTION;

/**
 * Reads the target of a request line in origin form (`/path?args`). As nginx: `%XX` is decoded, `//` becomes `/` (unless
 * `merge_slashes off`), `.` and `..` are resolved, `#` and what follows is dropped; arguments stay as they are.
 * @returns undefined for what nginx refuses with 400: a path that leads above the root, a broken `%XX`, `%00`, raw control
 *   characters and spaces, no `/` at the beginning
 */
export function parseTarget(target: string, mergeSlashes: boolean): ParsedUri | undefined {
  if (target.charCodeAt(0) !== 0x2f) return undefined;
  let afterSlash = false;
  for (let index = 0; index < target.length; index++) {
    switch (CHARACTERS[target.charCodeAt(index)]) {
      case PLAIN:
        afterSlash = false;
        break;
      case SLASH:
        if (afterSlash) return parseComplexTarget(target, mergeSlashes);
        afterSlash = true;
        break;
      case DOT:
        if (afterSlash) return parseComplexTarget(target, mergeSlashes);
        break;
      case SPECIAL:
        return parseComplexTarget(target, mergeSlashes);
      case QUESTION:
        return withArguments(target, index);
      default:
        return undefined;
    }
  }
  return { path: target, args: '', simple: true };
}

/**
 * Reads a URI that an upstream names (`X-Accel-Redirect`), perhaps escaped. As nginx's ngx_http_parse_unsafe_uri: nothing is merged or
 * resolved. @returns undefined for what could lead elsewhere: nothing, `..` as a segment, NUL, a broken `%XX`
 */
export function parseInternalTarget(target: string): { readonly path: string; readonly args: string } | undefined {
  const question = target.indexOf('?');
  const written = question < 0 ? target : target.slice(0, question);
  const path = written.includes('%') ? decodePath(written) : written;
  if (path === undefined || path === '' || path.includes('\0') || path.split('/').includes('..')) return undefined;
  return { path, args: question < 0 ? '' : target.slice(question + 1) };
}

function withArguments(target: string, question: number): ParsedUri | undefined {
  const args = target.slice(question + 1);
  if (hasInvalid(args)) return undefined;
  const hash = args.indexOf('#');
  return { path: target.slice(0, question), args: hash < 0 ? args : args.slice(0, hash), simple: hash < 0 };
}

function hasInvalid(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (CHARACTERS[text.charCodeAt(index)] === INVALID) return true;
  }
  return false;
}

function parseComplexTarget(target: string, mergeSlashes: boolean): ParsedUri | undefined {
  if (hasInvalid(target)) return undefined;
  const hash = target.indexOf('#');
  const whole = hash < 0 ? target : target.slice(0, hash);
  const question = whole.indexOf('?');
  const decoded = decodePath(question < 0 ? whole : whole.slice(0, question));
  const path = decoded === undefined ? undefined : resolveSegments(decoded, mergeSlashes);
  if (path === undefined) return undefined;
  return { path, args: question < 0 ? '' : whole.slice(question + 1), simple: false };
}

/** Decodes once, so that `%252e` stays `%2e`. A decoded `/` or `.` counts as one afterwards, so that nothing is hidden from the locations. */
function decodePath(path: string): string | undefined {
  const pieces = path.split('%');
  let decoded = pieces[0] as string;
  for (let index = 1; index < pieces.length; index++) {
    const piece = pieces[index] as string;
    const byte = hexByte(piece);
    if (byte <= 0) return undefined;
    decoded += String.fromCharCode(byte) + piece.slice(2);
  }
  return decoded;
}

/** The byte that two hexadecimal digits at the beginning of a text name; -1 where there are none. */
function hexByte(text: string): number {
  const high = hexDigit(text.charCodeAt(0));
  const low = hexDigit(text.charCodeAt(1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

/** RFC 3986 5.2.4, except that a path which leads above the root is refused. */
function resolveSegments(path: string, mergeSlashes: boolean): string | undefined {
  const segments = path.split('/');
  const kept: string[] = [];
  const last = segments.length - 1;
  for (let index = 1; index < last; index++) {
    const segment = segments[index] as string;
    if (segment === '..') {
      if (kept.pop() === undefined) return undefined;
    } else if (segment !== '.' && (segment !== '' || !mergeSlashes)) kept.push(segment);
  }
  return closePath(kept, segments[last] as string);
}

/** The last segment may be a file; where it is `.` or `..`, it names a folder. */
function closePath(kept: string[], last: string): string | undefined {
  if (last === '..' && kept.pop() === undefined) return undefined;
  kept.push(last === '.' || last === '..' ? '' : last);
  return `/${kept.join('/')}`;
}

/**
 * For which part of a URI a text is escaped: a path; an argument; a component (everything but letters, digits and `-._~`);
 * a URI that stands in a page; a URI that is one already, in a request line: only what would end it there.
 */
export type EscapeFor = 'path' | 'argument' | 'component' | 'html' | 'target';

/** RFC 3986: these may not stand in any URI, nor may control characters, spaces and bytes above 0x7e. */
const NEVER = '"<>\\^`{|}';
const ESCAPED: Readonly<Record<EscapeFor, Uint8Array>> = {
  path: escapeTable(`${NEVER}#%?`),
  argument: escapeTable(`${NEVER}#%&+;?`),
  component: escapeTable(`${NEVER}!#$%&'()*+,/:;=?@[]`),
  html: escapeTable(`${NEVER}#%'`),
  target: targetTable(),
};

function targetTable(): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(1, 0, 0x21);
  table[0x7f] = 1;
  return table;
}

function escapeTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(1, 0, 0x21);
  table.fill(1, 0x7f);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

const HEX = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`);

/** Writes `%XX` for each byte that may not stand in that part of a URI. Text without one is returned as it is. */
export function escapeUri(text: string, part: EscapeFor = 'path'): string {
  const table = ESCAPED[part];
  for (let index = 0; index < text.length; index++) {
    if (table[text.charCodeAt(index)] === 1) return escapeFrom(text, index, table);
  }
  return text;
}

function escapeFrom(text: string, first: number, table: Uint8Array): string {
  let escaped = text.slice(0, first);
  for (let index = first; index < text.length; index++) {
    const code = text.charCodeAt(index);
    escaped += table[code] === 1 ? (HEX[code] as string) : text.charAt(index);
  }
  return escaped;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Makes a text harmless between the tags, and between the double quotes, of a page. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] as string);
}

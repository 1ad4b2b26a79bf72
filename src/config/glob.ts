// Patterns of glob(7), as `include conf.d/*.conf` needs them: the same files in the same order as glob(3) in the C locale.

import { lstatSync, readdirSync, statSync } from 'node:fs';

const MAGIC = /[*?[]/;

/** nginx asks the disk for a list only where one of these stands in the name. */
export const isPattern = (path: string): boolean => MAGIC.test(path);

/** All paths that fit, sorted by bytes. Names that begin with a dot fit only a pattern that does. */
export function expandGlob(pattern: string): readonly string[] {
  const segments = pattern.split('/');
  const [first = '', ...rest] = segments;
  const found = pattern.startsWith('/') ? expand('/', rest) : expand('', [first, ...rest]);
  return found.sort(byBytes);
}

const byBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

function expand(base: string, segments: readonly string[]): string[] {
  const [segment, ...rest] = segments;
  if (segment === undefined) return [base];
  const last = rest.length === 0;
  if (!isPattern(segment)) {
    const plain = unescapeName(segment);
    return last ? existing(base + plain) : expand(`${base}${plain}/`, rest);
  }
  const names = namesIn(base).filter(matcher(segment));
  if (last) return names.map((name) => base + name);
  return names.filter((name) => isDirectory(base + name)).flatMap((name) => expand(`${base}${name}/`, rest));
}

const unescapeName = (segment: string): string => segment.replace(/\\(.)/g, '$1');

/** glob(3) takes a dangling link as there: lstat, not stat. */
function existing(path: string): string[] {
  try {
    lstatSync(path);
    return [path];
  } catch {
    return [];
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory === '' ? '.' : directory);
  } catch {
    return [];
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function matcher(segment: string): (name: string) => boolean {
  const hidden = segment.startsWith('.') || segment.startsWith('\\.');
  const regexp = compile(`^${translate(segment)}$`);
  return (name) => (hidden || !name.startsWith('.')) && regexp.test(name);
}

/** A range that runs backwards, such as `[z-a]`, fits nothing. */
function compile(source: string): RegExp {
  try {
    return new RegExp(source, 'su');
  } catch {
    return /(?!)/;
  }
}

function translate(segment: string): string {
  let source = '';
  for (let index = 0; index < segment.length; ) {
    const [piece, next] = pieceAt(segment, index);
    source += piece;
    index = next;
  }
  return source;
}

function pieceAt(segment: string, index: number): [string, number] {
  const character = String.fromCodePoint(segment.codePointAt(index) as number);
  const next = index + character.length;
  if (character === '*') return ['.*', next];
  if (character === '?') return ['.', next];
  if (character === '[') return bracketAt(segment, index);
  if (character === '\\' && next < segment.length) return [literal(segment.charAt(next)), next + 1];
  return [literal(character), next];
}

/** `[a-z]`, `[!a]`, `[]a]`; without its end, a `[` is only itself. */
function bracketAt(segment: string, index: number): [string, number] {
  const found = /^\[([!^]?)(\]?[^\]]*)\]/.exec(segment.slice(index));
  const inside = found?.[2] ?? '';
  if (found === null || inside === '') return ['\\[', index + 1];
  const body = inside.replace(/[\\\]^[]/g, '\\$&');
  return [`[${found[1] === '' ? '' : '^'}${escapeDashes(body)}]`, index + found[0].length];
}

/** With the `u` flag a dash may only stand between two characters, at the beginning, or at the end: as in glob(7). */
const escapeDashes = (body: string): string => body.replace(/(^-)|(-$)/g, '\\-');

const literal = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

// The files of src/ with their imports, as the tests of the house look at them.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export interface SourceFile {
  /** Relative to src/. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  /** Without comments; strings stay. */
  readonly code: string;
  /** The files of src/ that it imports, types included. */
  readonly imports: readonly string[];
  /** Whatever else it imports: node:…, packages. */
  readonly foreign: readonly string[];
}

const SRC = join(import.meta.dirname, '../../src');
const IMPORT = /\b(?:from\s+|import\s+|import\s*\(\s*)(['"])([^'"\n]+)\1/g;
const COMMENT = /\/\*[\s\S]*?\*\/|(?<![:'"`\\/])\/\/.*$/gm;

function read(path: string): SourceFile {
  const text = readFileSync(join(SRC, path), 'utf8');
  const code = text.replace(COMMENT, '');
  const names = [...code.matchAll(IMPORT)].map((match) => match[2] as string);
  return {
    path,
    text,
    lines: text.split('\n').length - 1,
    code,
    imports: names.filter((name) => name.startsWith('.')).map((name) => normalize(join(dirname(path), name))),
    foreign: names.filter((name) => !name.startsWith('.')),
  };
}

const paths = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

export const sourceFiles: readonly SourceFile[] = paths.sort().map(read);

// Compiles the load generator and the peer into bench/bin/, when their source is newer than what is there.

import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram } from './children.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const changed = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function compile(compiler: string, name: string): string {
  const source = path(`${name}.c`);
  const program = path(`bin/${name}`);
  if (changed(program) >= changed(source)) return program;
  const { status, stderr } = spawnSync(compiler, ['-O2', '-o', program, source, '-ldl'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${compiler} cannot compile ${source}:\n${stderr}`);
  return program;
}

/** The paths of the two programs. Throws where there is no C compiler. */
export function compilePrograms(): { load: string; peer: string } {
  const compiler = ['cc', 'gcc', 'clang'].find((name) => findProgram(name) !== undefined);
  if (compiler === undefined) {
    throw new Error(
      'the load generator and the peer are C programs, and there is no C compiler (cc, gcc or clang) here',
    );
  }
  mkdirSync(path('bin'), { recursive: true });
  return { load: compile(compiler, 'load'), peer: compile(compiler, 'peer') };
}

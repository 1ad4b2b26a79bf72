// include: which files a name or a pattern stands for, each read once; a file that includes itself is refused.

import type { Problems } from './errors.ts';
import { FileError, type Files } from './files.ts';
import { isPattern } from './glob.ts';
import { decodeText, type Source } from './source.ts';
import type { Argument, Position } from './tree.ts';

/** The files of one configuration, as they are being read. */
export class Includes {
  readonly #files: Files;
  readonly #problems: Problems;
  /** The directory of the configuration file, with its final slash. */
  readonly #directory: string;
  /** The files that are open now, the main one first: who includes whom. */
  readonly #open: string[] = [];
  readonly #names = new Set<string>();

  constructor(file: string, files: Files, problems: Problems) {
    this.#files = files;
    this.#problems = problems;
    this.#directory = file.slice(0, file.lastIndexOf('/') + 1);
  }

  /** All that was read, in order, each once. */
  get fileNames(): readonly string[] {
    return [...this.#names];
  }

  /** Opens the main file; undefined (and a problem) where it cannot be read. */
  open(file: string): Source | undefined {
    return this.#read(file, undefined, undefined);
  }

  /** The files that `include pattern;` means, one after the other; `close` must follow each. */
  *named(pattern: Argument, from: Position): Generator<Source> {
    const name = this.#fullName(pattern.text);
    for (const file of isPattern(name) ? this.#files.glob(name) : [name]) {
      const source = this.#read(file, pattern, from);
      if (source !== undefined) yield source;
    }
  }

  /** The file that was opened last has been read to its end. */
  close(): void {
    this.#open.pop();
  }

  /** nginx joins the two as they are; a C string ends at its first zero byte. */
  #fullName(name: string): string {
    const known = name.split('\0', 1)[0] as string;
    return known.startsWith('/') ? known : this.#directory + known;
  }

  #read(file: string, pattern: Argument | undefined, from: Position | undefined): Source | undefined {
    if (this.#open.includes(file)) return this.#refuseCycle(file, pattern, from);
    try {
      const text = decodeText(this.#files.read(file));
      this.#open.push(file);
      this.#names.add(file);
      return from === undefined ? { file, text } : { file, text, includedFrom: from };
    } catch (error) {
      this.#unreadable(error, pattern, from);
      return undefined;
    }
  }

  #refuseCycle(file: string, pattern: Argument | undefined, from: Position | undefined): undefined {
    const chain = [...this.#open.slice(this.#open.indexOf(file)), file].join(' → ');
    this.#problems.error(`"${file}" includes itself`, pattern?.at, { noticed: from, mend: chain });
  }

  #unreadable(error: unknown, pattern: Argument | undefined, from: Position | undefined): void {
    if (!(error instanceof FileError)) throw error;
    const level = error.code === 'EISDIR' ? 'crit' : 'emerg';
    this.#problems.add({ level, message: error.message, at: pattern?.at, noticed: from });
  }
}

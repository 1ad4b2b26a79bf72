// Statements to a tree: which directive stands in which block. Includes are read where they stand.

import type { Problems } from './errors.ts';
import type { Files } from './files.ts';
import { Includes } from './include.ts';
import { Lexer, type Statement } from './lexer.ts';
import { placeAt, type Source } from './source.ts';
import { allSteps, type Steps } from './steps.ts';
import type { Argument, Block, Directive, Position } from './tree.ts';

/** Deeper than any configuration is; a file of braces alone must not exhaust the stack. */
const DEEPEST = 200;

/** A configuration as it was read: what `-T` prints, and the tree. */
export interface Configuration {
  readonly root: Block;
  /** The files in the order in which they were read, each once. */
  readonly fileNames: readonly string[];
}

export interface ReadOptions {
  /** The configuration file, an absolute path. Relative includes start from its directory, as for nginx. */
  readonly file: string;
  readonly files: Files;
  readonly problems: Problems;
  /** What `-g` gave: read before the file, as if it stood at its head. */
  readonly parameters?: string | undefined;
}

/** Reads a configuration file and all that it includes. Mistakes go to `problems`; the tree holds what could be understood. */
export function readConfiguration(options: ReadOptions): Configuration {
  return allSteps(readingConfiguration(options));
}

/** The same in steps: one for each block that ends. */
export function* readingConfiguration(options: ReadOptions): Steps<Configuration> {
  const { file, files, problems, parameters } = options;
  const includes = new Includes(file, files, problems);
  const directives: Directive[] = [];
  if (parameters !== undefined) yield* parseInto(directives, commandLine(parameters), includes, problems);
  const source = includes.open(file);
  if (source !== undefined) yield* parseInto(directives, source, includes, problems);
  const at = placeAt(source ?? { file, text: '' }, 0);
  return { root: { directives, at, end: placeAt(at.source, at.source.text.length) }, fileNames: includes.fileNames };
}

const commandLine = (text: string): Source => ({ file: 'command line', text, commandLine: true });

function parseInto(directives: Directive[], source: Source, includes: Includes, problems: Problems): Steps<void> {
  return new Parser(source, directives, includes, problems).parse();
}

interface OpenBlock {
  readonly words: readonly Argument[];
  /** Where its brace stands. */
  readonly at: Position;
  readonly directives: Directive[];
}

class Parser {
  readonly #lexer: Lexer;
  readonly #source: Source;
  readonly #includes: Includes;
  readonly #problems: Problems;
  /** The blocks that are open in this file; what it closes it must have opened. */
  readonly #open: OpenBlock[] = [];
  /** Where the next directive goes. */
  #target: Directive[];
  readonly #outermost: Directive[];

  constructor(source: Source, directives: Directive[], includes: Includes, problems: Problems) {
    this.#lexer = new Lexer(source, problems);
    this.#source = source;
    this.#includes = includes;
    this.#problems = problems;
    this.#target = directives;
    this.#outermost = directives;
  }

  *parse(): Steps<void> {
    let statement = this.#lexer.next();
    while (statement.kind !== 'ended' && this.#open.length <= DEEPEST) {
      yield* this.#take(statement);
      statement = this.#lexer.next();
    }
    if (statement.kind === 'ended') this.#ended(statement);
    else this.#problems.error('blocks are nested too deep', statement.at);
  }

  *#take(statement: Statement): Steps<void> {
    const { kind, words, at } = statement;
    if (kind === 'opened') this.#opened(statement);
    else if (kind === 'closed') yield this.#closed(at);
    else if (statement.spoilt) return;
    else if (words[0]?.text === 'include') yield* this.#include(words, at);
    else this.#add(words, at, undefined);
  }

  #opened({ words, at }: Statement): void {
    if (this.#source.commandLine) this.#problems.error('block directives are not supported in -g option', at);
    if (words[0]?.text === 'include') this.#problems.error('directive "include" is not terminated by ";"', at);
    this.#open.push({ words, at, directives: [] });
    this.#target = this.#open.at(-1)?.directives as Directive[];
  }

  #closed(end: Position): void {
    const block = this.#open.pop();
    if (block === undefined) {
      this.#problems.error('unexpected "}"', end, { mend: 'no block is open here' });
      return;
    }
    this.#target = this.#open.at(-1)?.directives ?? this.#outermost;
    const { words, at, directives } = block;
    const nameless = words.length === 0 || words[0]?.text === 'include';
    if (!nameless) this.#add(words, at, { directives, at, end });
  }

  #ended(statement: Statement): void {
    const innermost = this.#open.at(-1);
    if (innermost === undefined) return;
    const details = { noticed: statement.at, mend: 'this block is never closed' };
    this.#problems.error('unexpected end of file, expecting "}"', innermost.at, details);
    while (this.#open.length > 0) this.#closed(statement.at);
  }

  #add([name, ...args]: readonly Argument[], end: Position, block: Block | undefined): void {
    if (name === undefined) return;
    this.#target.push({ name: name.text, args, at: name.at, end, block, value: undefined, declaredBy: undefined });
  }

  *#include(words: readonly Argument[], end: Position): Steps<void> {
    const [name, pattern] = words;
    if (name === undefined || pattern === undefined || words.length !== 2) {
      const details = { noticed: end, mend: 'include takes one file name or pattern' };
      this.#problems.error('invalid number of arguments in "include" directive', name?.at, details);
      return;
    }
    const target = this.#target;
    for (const source of this.#includes.named(pattern, end)) {
      yield* parseInto(target, source, this.#includes, this.#problems);
      this.#includes.close();
    }
  }
}

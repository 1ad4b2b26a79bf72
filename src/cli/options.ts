// The options of the command: nginx's, grouped (`-tq`) and joined (`-cfile`) as nginx takes them.

import { COMMANDED, type Command } from '../lifecycle/signals.ts';

export interface Options {
  help: boolean;
  version: boolean;
  /** `-V`: with what it was built. */
  build: boolean;
  test: boolean;
  /** `-T`: print the configuration. */
  dump: boolean;
  quiet: boolean;
  signal: Command | undefined;
  prefix: string | undefined;
  errorLog: string | undefined;
  configFile: string | undefined;
  globals: string;
}

/** nginx's words: `invalid option: "z"`, `option "-c" requires file name`. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

type Flag = '?' | 'h' | 'v' | 'V' | 't' | 'T' | 'q';
type Valued = 'p' | 'e' | 'c' | 'g' | 's';

const FLAGS: Readonly<Record<Flag, Partial<Options>>> = {
  '?': { help: true, version: true },
  h: { help: true, version: true },
  v: { version: true },
  V: { version: true, build: true },
  t: { test: true },
  T: { test: true, dump: true },
  q: { quiet: true },
};

/** Not nginx's: what a stranger tries first. */
const LONG: Readonly<Record<string, Partial<Options>>> = {
  '--help': FLAGS.h,
  '--version': FLAGS.v,
};

interface ValuedOption {
  /** What it requires, in nginx's words. */
  readonly requires: string;
  readonly read: (value: string) => Partial<Options>;
}

const VALUED: Readonly<Record<Valued, ValuedOption>> = {
  p: { requires: 'directory name', read: (prefix) => ({ prefix }) },
  e: { requires: 'file name', read: (errorLog) => ({ errorLog }) },
  c: { requires: 'file name', read: (configFile) => ({ configFile }) },
  g: { requires: 'parameter', read: (globals) => ({ globals }) },
  s: { requires: 'parameter', read: (value) => ({ signal: readCommand(value) }) },
};

/** @param args without the program's name. @throws OptionError */
export function parseOptions(args: readonly string[]): Options {
  const options: Options = {
    help: false,
    version: false,
    build: false,
    test: false,
    dump: false,
    quiet: false,
    signal: undefined,
    prefix: undefined,
    errorLog: undefined,
    configFile: undefined,
    globals: '',
  };
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    const long = LONG[word];
    if (long !== undefined) {
      Object.assign(options, long);
      continue;
    }
    if (!word.startsWith('-')) throw new OptionError(`invalid option: "${word}"`);
    if (readWord(word, args[index + 1], options)) index++;
  }
  return options;
}

/** Reads one word of options. @returns whether the next word was its value */
function readWord(word: string, next: string | undefined, options: Options): boolean {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] as string;
    if (letter in VALUED) return readValue(letter as Valued, word.slice(at + 1), next, options);
    if (!(letter in FLAGS)) throw new OptionError(`invalid option: "${letter}"`);
    Object.assign(options, FLAGS[letter as Flag]);
  }
  return false;
}

function readValue(letter: Valued, joined: string, next: string | undefined, options: Options): boolean {
  const { requires, read } = VALUED[letter];
  const value = joined === '' ? next : joined;
  if (value === undefined) throw new OptionError(`option "-${letter}" requires ${requires}`);
  Object.assign(options, read(value));
  return joined === '';
}

function readCommand(value: string): Command {
  if (!Object.hasOwn(COMMANDED, value)) {
    throw new OptionError(`invalid option: "-s ${value}": the signals are ${Object.keys(COMMANDED).join(', ')}`);
  }
  return value as Command;
}

// Reads a configuration that stands in a test, with files that stand there, too; nothing touches the disk.

import { Problems } from '../../src/config/errors.ts';
import { BundleFiles } from '../../src/config/files.ts';
import { type Configuration, readConfiguration } from '../../src/config/parser.ts';
import type { Block } from '../../src/config/tree.ts';

export interface ReadTextOptions {
  /** Contents by absolute path; the configuration itself is `/etc/nginx.conf`. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** What each pattern of an include stands for. */
  readonly globs?: Readonly<Record<string, readonly string[]>>;
  /** `-g` */
  readonly parameters?: string;
}

export interface ReadText extends Configuration {
  readonly problems: Problems;
  /** What all problems say, with their level and place. */
  readonly said: readonly string[];
}

const MAIN_FILE = '/etc/nginx.conf';

export function readText(text: string | Buffer, options: ReadTextOptions = {}): ReadText {
  const contents = { [MAIN_FILE]: text, ...options.files };
  const reads = new Map(Object.entries(contents).map(([path, content]) => [path, Buffer.from(content)]));
  const files = new BundleFiles({
    reads,
    globs: new Map(Object.entries(options.globs ?? {})),
    existing: new Map(),
    names: new Map(),
  });
  const problems = new Problems();
  const { parameters } = options;
  const configuration = readConfiguration({ file: MAIN_FILE, files, problems, parameters });
  return { ...configuration, problems, said: problems.headlines };
}

/** A tree as nested lists, to be compared at a glance: `['listen', '80']`, and for a block its inside as the last element. */
export type Outline = (string | Outline)[];

export function outline(block: Block): Outline {
  return block.directives.map(({ name, args, block: inner }) => {
    const words: Outline = [name, ...args.map((argument) => argument.text)];
    return inner === undefined ? words : [...words, outline(inner)];
  });
}

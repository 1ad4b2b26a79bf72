// The configuration as `-T` prints it: each file that was read, once, in order, byte for byte.

import type { Files } from './files.ts';

/** `# configuration file NAME:`, a line, the file as it is, a line end; for each file. The same bytes that nginx prints. */
export function printConfiguration(fileNames: readonly string[], files: Files): Buffer {
  const parts = fileNames.flatMap((name) => [
    Buffer.from(`# configuration file ${name}:\n`),
    files.read(name),
    LINE_END,
  ]);
  return Buffer.concat(parts);
}

const LINE_END = Buffer.from('\n');

// A file that the configuration names, and what stands in it: PEM texts, mostly.

import { ConfigError } from '../config/errors.ts';
import { FileError } from '../config/files.ts';
import type { Position } from '../config/tree.ts';
import type { Workshop } from './draft.ts';

/** The name of a file as it was written, and where. */
export interface WrittenFile {
  readonly file: string;
  readonly at: Position | undefined;
}

/** Only some forms of the name are files. */
const OTHER_STORES = /^(?:data|engine|store):/;

/** @throws ConfigError */
export function readPem({ file, at }: WrittenFile, what: string, workshop: Workshop): string {
  if (OTHER_STORES.test(file) || file.includes('$')) {
    throw new ConfigError(
      `cannot load ${what} "${file}": only files are supported, and no variables in their names`,
      at,
    );
  }
  return readBytes({ file, at }, what, workshop).toString('latin1');
}

/** @throws ConfigError */
export function readBytes({ file, at }: WrittenFile, what: string, workshop: Workshop): Buffer {
  const path = workshop.fromConfig(file);
  try {
    return workshop.files.read(path);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot load ${what} "${path}": ${error.message}`, at);
  }
}

/** The blocks of a PEM text of one kind, such as `CERTIFICATE`, each as a text of its own. */
export function pemBlocks(pem: string, kind: RegExp): string[] {
  const blocks = pem.match(/-----BEGIN [^-\n]+-----[^-]*-----END [^-\n]+-----/g) ?? [];
  return blocks.filter((block) => kind.test(block.slice('-----BEGIN '.length, block.indexOf('-----', 5))));
}

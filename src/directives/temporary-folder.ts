// The arguments of nginx's directives that name a folder for temporary files: checked, for there are no such files.

import { integer, optional, path, saying } from '../config/values.ts';

/** How many characters of a file's name are a folder of its own. */
const level = <const Name extends string>(name: Name) =>
  optional(saying(integer(name, { min: 1, max: 3 }), (_, directive) => `"${directive}" directive invalid value`));

export const temporaryFolder = [path('path'), level('level1'), level('level2'), level('level3')] as const;

// Which version of sockgate this is, as package.json says it.

import { readFileSync } from 'node:fs';

/** Three numbers and dots, as in `Server: sockgate/0.1.0`. */
export const VERSION = readVersion();

/** package.json stands one folder above both `src/` and `dist/`. */
function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

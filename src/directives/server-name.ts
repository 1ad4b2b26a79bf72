// The argument of `server_name`: a name, a wildcard, or `~` and a regular expression.

import { hostname } from 'node:os';
import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString, lowerCase } from '../config/source.ts';
import { argument } from '../config/values.ts';
import type { ServerName } from '../route/server-names.ts';

export const serverNameKind: Kind<'name', ServerName> = argument('name', 'name', (text, { at }, _, warn) => {
  if (isInvalid(text)) throw new ConfigError(`server name "${text}" is invalid`, at);
  if (text.includes('/')) warn(`server name "${text}" has suspicious symbols`, at);
  if (!text.startsWith('~')) return { text: literalName(text), pattern: undefined };
  if (text === '~') throw new ConfigError('empty regex in server name "~"', at);
  const { regexp } = compilePattern(text.slice(1), { insensitive: true, at });
  return { text: byteString(text.slice(1)), pattern: regexp };
});

/** `$hostname` is the only variable that may stand here: the machine's name. */
function literalName(text: string): string {
  return lowerCase(byteString(text.toLowerCase() === '$hostname' ? hostname() : text));
}

/** What nginx refuses as soon as it sees it; other mistakes show when the names of a listener are put together. */
function isInvalid(name: string): boolean {
  return (name.startsWith('*') && (name.length < 3 || name[1] !== '.')) || name === '.';
}

/** `$server_name`: the first name, an expression with its `~`, `.example.org` without its dot. */
export function firstName(names: readonly ServerName[]): string {
  const [first] = names;
  if (first === undefined) return '';
  return first.pattern === undefined ? first.text.replace(/^\./, '') : `~${first.text}`;
}

// The argument of `server_name`: a name, a wildcard, or `~` and a regular expression.

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString } from '../config/source.ts';
import { argument } from '../config/values.ts';
import type { ServerName } from '../route/server-names.ts';

export const serverNameKind: Kind<'name', ServerName> = argument('name', 'name', (text, { at }) => {
  if (text.startsWith('~')) {
    if (text === '~') throw new ConfigError('empty regex in server name "~"', at);
    const { regexp } = compilePattern(text.slice(1), { insensitive: true, at });
    return { text: byteString(text.slice(1)), pattern: regexp };
  }
  const name = byteString(text).toLowerCase();
  if (isInvalid(name)) throw new ConfigError(`server name "${text}" is invalid`, at);
  return { text: name, pattern: undefined };
});

/** As nginx's ngx_http_core_server_name: a slash would make a name of a path; `*` only stands at an end. */
function isInvalid(name: string): boolean {
  return (
    (name.startsWith('*') && (name.length < 3 || name[1] !== '.')) ||
    (name.startsWith('.') && name.length < 2) ||
    name.includes('\0')
  );
}

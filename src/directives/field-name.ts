// The name of a header field as an argument: what is none would spoil every message that it stands in.

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import { argument } from '../config/values.ts';
import { isToken } from '../http1/headers.ts';

/** nginx takes any text; RFC 9110 section 5.1 does not, nor do those who get it. */
export function fieldName<const Name extends string>(name: Name): Kind<Name, string> {
  return argument(name, name, (text) => {
    const bytes = byteString(text);
    if (isToken(bytes)) return bytes;
    const mend = 'a name is letters, digits and some of the signs, without spaces';
    throw new ConfigError(`"${text}" is not the name of a header field`, undefined, { mend });
  });
}

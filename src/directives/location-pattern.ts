// The argument of `location`: `= /x`, `^~ /x`, `/x`, `~ regex`, `~* regex`, `@name`, with or without a space.

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString } from '../config/source.ts';
import type { Argument } from '../config/tree.ts';

export interface LocationPattern {
  readonly kind: 'exact' | 'prefix' | 'regex' | 'named';
  /** The URI, the name with its `@`, or the expression: a byte string. */
  readonly text: string;
  /** `^~`: no regular expression is looked at when this is the longest prefix. */
  readonly stopsRegex: boolean;
  readonly regexp: RegExp | undefined;
  /** As it was written: `~ \.php$`. */
  readonly written: string;
}

const MODIFIERS = ['=', '^~', '~*', '~'] as const;
type Modifier = (typeof MODIFIERS)[number];

export const locationPatternKind: Kind<'pattern', LocationPattern> = {
  name: 'pattern',
  syntax: '[= | ~ | ~* | ^~] uri | @name',
  takes: 'rest',
  parse(args) {
    const [first, second] = args as [Argument, Argument | undefined];
    if (args.length > 2) throw new ConfigError('invalid number of arguments in "location" directive', args[2]?.at);
    if (second === undefined) return withoutSpace(first);
    const modifier = MODIFIERS.find((known) => known === first.text);
    if (modifier === undefined) throw new ConfigError(`invalid location modifier "${first.text}"`, first.at);
    return pattern(modifier, second.text, second);
  },
};

function withoutSpace(only: Argument): LocationPattern {
  const modifier = MODIFIERS.find((known) => only.text.startsWith(known));
  if (modifier !== undefined) return pattern(modifier, only.text.slice(modifier.length), only);
  const text = byteString(only.text);
  const kind = text.startsWith('@') ? 'named' : 'prefix';
  return { kind, text, stopsRegex: false, regexp: undefined, written: only.text };
}

function pattern(modifier: Modifier, uri: string, { at }: Argument): LocationPattern {
  const written = `${modifier} ${uri}`;
  const text = byteString(uri);
  switch (modifier) {
    case '=':
      return { kind: 'exact', text, stopsRegex: false, regexp: undefined, written };
    case '^~':
      return { kind: 'prefix', text, stopsRegex: true, regexp: undefined, written };
    default: {
      const { regexp } = compilePattern(uri, { insensitive: modifier === '~*', at });
      return { kind: 'regex', text, stopsRegex: false, regexp, written };
    }
  }
}

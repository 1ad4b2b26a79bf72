// disable_symlinks: its arguments, and what they make of a location.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#disable_symlinks

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseTemplate, type Template } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';
import type { SymlinkRule } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';

export interface WrittenSymlinks {
  readonly how: 'off' | SymlinkRule['how'];
  readonly from: Template | undefined;
}

const WORDS = ['off', 'on', 'if_not_owner'] as const;

/** `off`, `on` or `if_not_owner`, and perhaps `from=part`, in any order. */
export const symlinksKind: Kind<'how', WrittenSymlinks> = {
  name: 'how',
  syntax: 'off | on | if_not_owner [from=part]',
  takes: 'rest',
  parse: (args, directive) => {
    if (args.length > 2) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, args[2]?.at);
    const hows = args.map(({ text }) => WORDS.find((word) => word === text)).filter((how) => how !== undefined);
    const froms = args.filter(({ text }) => text.startsWith('from='));
    const wrong = args.find(({ text }) => !text.startsWith('from=') && !WORDS.some((word) => word === text));
    if (wrong !== undefined) throw new ConfigError(`invalid parameter "${wrong.text}"`, wrong.at);
    const [how] = hows;
    if (how === undefined)
      throw new ConfigError(`"${directive}" must have "off", "on" or "if_not_owner" parameter`, args[0]?.at);
    if (hows.length > 1)
      throw new ConfigError(`duplicate parameters "${args.map(({ text }) => text).join(' ')}"`, args[1]?.at);
    const from = froms[0];
    if (from !== undefined && how === 'off')
      throw new ConfigError('"from=" cannot be used with "off" parameter', from.at);
    return { how, from: from === undefined ? undefined : fromPart(from) };
  },
};

function fromPart({ text, at }: Argument): Template {
  return parseTemplate(text.slice('from='.length), at);
}

/** undefined where links may be followed. */
export function compileSymlinks({ how, from }: WrittenSymlinks, workshop: Workshop): SymlinkRule | undefined {
  if (how === 'off') return undefined;
  return { how, from: from === undefined ? undefined : workshop.text(from) };
}

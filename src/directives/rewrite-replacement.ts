// The arguments of `rewrite`: an expression, its replacement, and what is done then.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#rewrite

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { compilePattern, type Pattern } from '../config/pattern.ts';
import { parseTemplate, type Template, type TemplatePart } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';
import { type Rewriting, rewriting } from '../route/rewriting.ts';
import type { Step } from '../route/script.ts';
import type { Workshop } from './draft.ts';
import { defineCaptures } from './named-captures.ts';
import { scriptText } from './script-text.ts';

const FLAGS = ['last', 'break', 'redirect', 'permanent'] as const;
type RewriteFlag = (typeof FLAGS)[number];

export interface WrittenRewrite {
  readonly pattern: Pattern;
  /** Without the `?` at its end. */
  readonly replacement: Template;
  readonly addsArgs: boolean;
  readonly flag: RewriteFlag | undefined;
}

export const rewriteKind: Kind<'rewrite', WrittenRewrite> = {
  name: 'rewrite',
  syntax: `regex replacement [${FLAGS.join(' | ')}]`,
  takes: 'rest',
  parse: (args, directive) => {
    const [regex, replacement, flag] = args as [Argument, Argument | undefined, Argument | undefined];
    if (replacement === undefined || args.length > 3)
      throw new ConfigError(`invalid number of arguments in "${directive}" directive`, regex.at);
    if (replacement.text === '') throw new ConfigError('empty replacement', replacement.at);
    const { text, at } = replacement;
    const pattern = compilePattern(regex.text, { at: regex.at });
    const dropsArgs = text.endsWith('?');
    const kept = parseTemplate(dropsArgs ? text.slice(0, -1) : text, at);
    return { pattern, replacement: kept, addsArgs: !dropsArgs, flag: readFlag(flag) };
  },
};

function readFlag(given: Argument | undefined): RewriteFlag | undefined {
  if (given === undefined) return undefined;
  const flag = FLAGS.find((known) => known === given.text);
  if (flag === undefined) throw new ConfigError(`invalid parameter "${given.text}"`, given.at);
  return flag;
}

/** `http://…`, `https://…` and `$scheme…`: what is rewritten to such, or returned alone, is a redirect. */
export const isUrl = (text: string): boolean => /^(https?:\/\/|\$scheme)/.test(text);

function statusOf({ replacement, flag }: WrittenRewrite): number {
  if (flag === 'permanent') return 301;
  return flag === 'redirect' || isUrl(replacement.text) ? 302 : 0;
}

/** @param logs `rewrite_log` */
export function compileRewrite(written: WrittenRewrite, workshop: Workshop, logs: boolean): Step {
  const { pattern, replacement, addsArgs, flag } = written;
  defineCaptures(workshop, pattern.regexp);
  const status = statusOf(written);
  const { path, args } = status === 0 ? apart(replacement.parts) : { path: replacement.parts, args: undefined };
  const settings: Rewriting = {
    pattern: pattern.regexp,
    written: pattern.text,
    path: scriptText(path, replacement, workshop),
    args: args === undefined ? undefined : scriptText(args, replacement, workshop),
    addsArgs,
    status,
    hasArgs: replacement.parts.some((part) => typeof part === 'string' && part.includes('?')),
    ends: flag !== undefined || status !== 0,
    stays: flag === 'break',
    logs,
  };
  return rewriting(settings);
}

/** Arguments begin at the first `?`; one in a variable or a capture is none. */
function apart(parts: readonly TemplatePart[]): {
  path: readonly TemplatePart[];
  args: readonly TemplatePart[] | undefined;
} {
  const first = parts.findIndex((part) => typeof part === 'string' && part.includes('?'));
  if (first < 0) return { path: parts, args: undefined };
  const text = parts[first] as string;
  const question = text.indexOf('?');
  return {
    path: [...parts.slice(0, first), text.slice(0, question)],
    args: [text.slice(question + 1), ...parts.slice(first + 1)],
  };
}

// What of a configuration was refused when it was checked: nobody shall be told of what only follows from that.

import type { DirectiveSpec } from './directive.ts';
import type { Block, Directive } from './tree.ts';

/** The directives that check.ts could make nothing of, those inside of unknown blocks included. Lines of `raw` blocks are none. */
export function refusedDirectives(block: Block): Directive[] {
  return block.directives.flatMap((directive) => {
    const spec = directive.declaredBy as DirectiveSpec | undefined;
    const inside = directive.block === undefined || spec?.block === 'raw' ? [] : refusedDirectives(directive.block);
    return spec === undefined ? [directive, ...inside] : inside;
  });
}

/** Whether one of them may be what would have defined this variable: `map … $name {`, `location ~ (?<name>…)`. */
export function mayDefine(refused: readonly Directive[], name: string): boolean {
  const written = new RegExp(`\\$\\{?${name}\\b|<${name}>`, 'i');
  return refused.some(({ args }) => args.some(({ text }) => written.test(text)));
}

// Every directive against its declaration: unknown, misplaced, duplicate, wrong arguments. All mistakes in one run.

import { directiveValue } from './arguments.ts';
import type { Context, DirectiveSpec } from './directive.ts';
import { ConfigError, type ProblemDetails, type Problems, type Warn } from './errors.ts';
import { fragmentMend } from './fragment.ts';
import { missingSemicolon } from './missing-semicolon.ts';
import type { Declaration, Registry } from './registry.ts';
import { allSteps, type Steps } from './steps.ts';
import type { Block, Directive } from './tree.ts';

/**
 * Walks the tree, sets `value` and `declaredBy` of each directive that is right, and notes what is wrong with the others.
 * Lines of `raw` blocks are left to their module.
 */
export function checkConfiguration(root: Block, registry: Registry, problems: Problems): void {
  allSteps(checkingConfiguration(root, registry, problems));
}

/** The same in steps: one for each block. */
export function checkingConfiguration(root: Block, registry: Registry, problems: Problems): Steps<void> {
  return new Checker(root, registry, problems).check();
}

class Checker {
  readonly #root: Block;
  readonly #registry: Registry;
  readonly #problems: Problems;
  readonly #warn: Warn;
  /** The skeleton that shows where the pieces of a fragment go is told once. */
  #toldFragment = false;

  constructor(root: Block, registry: Registry, problems: Problems) {
    this.#root = root;
    this.#registry = registry;
    this.#problems = problems;
    this.#warn = (message, at) => problems.warn(message, at);
  }

  *check(): Steps<void> {
    yield* this.#block(this.#root, 'main');
    if (this.#toldFragment) return;
    for (const name of this.#registry.required) this.#require(name);
  }

  #require(name: string): void {
    if (this.#root.directives.some((directive) => directive.name === name)) return;
    this.#problems.error(`no "${name}" section in configuration`, undefined, {
      mend: `write at the top level: ${name} {}`,
    });
  }

  *#block(block: Block, context: Context): Steps<void> {
    const seen = new Map<DirectiveSpec, Directive>();
    for (const directive of block.directives) {
      const inner = this.#directive(directive, context, seen);
      if (inner !== undefined) yield* this.#inside(directive, inner, context);
    }
    yield;
  }

  /** @returns what is declared of a directive whose block is to be checked, too */
  #directive(directive: Directive, context: Context, seen: Map<DirectiveSpec, Directive>): DirectiveSpec | undefined {
    const declaration = this.#registry.find(directive.name, context);
    if (declaration === undefined) {
      return this.#misplacedOrUnknown(directive, context);
    }
    const { spec } = declaration;
    if (this.#formIsRight(directive, declaration)) this.#firstOrDuplicate(directive, declaration, seen);
    return directive.block === undefined ? undefined : spec;
  }

  #firstOrDuplicate(directive: Directive, declaration: Declaration, seen: Map<DirectiveSpec, Directive>): void {
    const { spec } = declaration;
    const former = spec.many ? undefined : seen.get(spec);
    seen.set(spec, directive);
    if (former !== undefined) this.#duplicate(directive, former);
    else this.#value(directive, declaration);
  }

  #value(directive: Directive, { spec, count }: Declaration): void {
    try {
      directive.value = directiveValue(spec, count, directive, this.#warn);
      directive.declaredBy = spec;
    } catch (error) {
      this.#problems.caught(this.#withSemicolon(error, directive), directive.end, directive.at);
    }
  }

  /** What is wrong with a value may be that it was none. */
  #withSemicolon(error: unknown, directive: Directive): unknown {
    const missing = missingSemicolon(directive, this.#registry);
    if (!(error instanceof ConfigError) || missing === undefined) return error;
    return new ConfigError(error.message, error.at, { noticed: error.noticed, mend: joined(missing, error.mend) });
  }

  /** What stands inside a block is checked even where the block itself is wrong. */
  *#inside({ block }: Directive, spec: DirectiveSpec, context: Context): Steps<void> {
    if (block === undefined || spec.block === undefined) return;
    if (spec.block === 'raw') this.#rawBlock(block);
    else yield* this.#block(block, innerContext(spec.block, context));
  }

  #rawBlock(block: Block): void {
    for (const { block: inner, end } of block.directives) {
      if (inner !== undefined) this.#problems.error('unexpected "{"', end, { mend: 'no blocks may stand here' });
    }
  }

  #formIsRight(directive: Directive, { spec, count }: Declaration): boolean {
    const { name, block, args } = directive;
    if (block !== undefined && spec.block === undefined) {
      const mend = missingSemicolon(directive, this.#registry) ?? 'it has no block';
      return this.#wrong(directive, `directive "${name}" is not terminated by ";"`, { mend });
    }
    if (block === undefined && spec.block !== undefined) {
      return this.#wrong(directive, `directive "${name}" has no opening "{"`, {
        mend: `syntax: ${syntax(name, spec)}`,
      });
    }
    if (args.length >= count.least && args.length <= count.most) return true;
    const message = `invalid number of arguments in "${name}" directive`;
    const mend = joined(missingSemicolon(directive, this.#registry), `syntax: ${syntax(name, spec)}`);
    return this.#wrong(directive, message, { mend });
  }

  #wrong(directive: Directive, message: string, details: ProblemDetails = {}): false {
    this.#problems.error(message, directive.at, { noticed: directive.end, ...details });
    return false;
  }

  #duplicate(directive: Directive, former: Directive): void {
    const elsewhere = former.at.source === directive.at.source ? '' : `${former.at.source.file}, `;
    this.#wrong(directive, `"${directive.name}" directive is duplicate`, {
      mend: `first set in ${elsewhere}line ${former.at.line}`,
    });
  }

  #misplacedOrUnknown(directive: Directive, context: Context): DirectiveSpec | undefined {
    const { name } = directive;
    const { message, mend } = this.#registry.explain(name, context);
    const skeleton = context === 'main' ? this.#fragment() : undefined;
    this.#wrong(directive, message, { mend: joined(mend, skeleton) });
    return this.#registry.declarations(name)[0]?.spec;
  }

  /** A `location` or an `upstream` as the whole file: how the file should look. */
  #fragment(): string | undefined {
    if (this.#toldFragment) return undefined;
    const mend = fragmentMend(this.#root, this.#registry);
    this.#toldFragment = mend !== undefined;
    return mend;
  }
}

const joined = (...mends: (string | undefined)[]): string | undefined =>
  mends.filter((mend) => mend !== undefined).join('\n') || undefined;

/** An `if` opens another context in a server than in a location. */
function innerContext(inside: Context, outside: Context): Context {
  return inside === 'if' && outside === 'server' ? 'server if' : inside;
}

function syntax(name: string, spec: DirectiveSpec): string {
  const words = [name, ...spec.args.map((kind) => kind.syntax)].join(' ');
  return spec.block === undefined ? `${words};` : `${words} { … }`;
}

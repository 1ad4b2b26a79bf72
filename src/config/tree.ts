// What a configuration is once it is parsed: blocks of directives with arguments, each of which knows where it stands.

import type { Position } from './source.ts';

export type { Position } from './source.ts';

export interface Argument {
  /** The text as nginx reads it: quotes gone, escapes decoded; nginx has no escape for `$`, so `\$` keeps its backslash. */
  readonly text: string;
  /** Stood in quotes. nginx makes no difference (`"on"` is `on`); it only shows whether an empty one was meant. */
  readonly quoted: boolean;
  readonly at: Position;
}

export interface Directive {
  readonly name: string;
  readonly args: readonly Argument[];
  /** Where the name stands. */
  readonly at: Position;
  /** Where the `;` or the `{` stands: the line that nginx's messages name. */
  readonly end: Position;
  /** Present where the directive was followed by `{ … }`. */
  readonly block: Block | undefined;
  /** What check.ts made of the arguments; `true` for none. Unset for lines of a `raw` block. */
  value?: unknown;
  /** The declaration (DirectiveSpec) that check.ts matched it with, by identity: one name may be declared by several modules. */
  declaredBy?: object | undefined;
}

export interface Block {
  readonly directives: readonly Directive[];
  /** Where the opening brace stands (the file's beginning for the whole). */
  readonly at: Position;
  readonly end: Position;
}

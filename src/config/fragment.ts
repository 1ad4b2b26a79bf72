// A piece of a configuration given as the whole file: shows the blocks that must stand around it.

import type { Registry } from './registry.ts';
import type { Block, Directive } from './tree.ts';

/** A block of the skeleton: its name, what goes into it, the blocks inside. */
interface Frame {
  readonly pieces: string[];
  readonly inner: Map<string, Frame>;
}

/** How the file should look, one line each; undefined where nothing of the top level has another place. */
export function fragmentMend(root: Block, registry: Registry): string | undefined {
  const top: Frame = { pieces: [], inner: new Map() };
  for (const directive of root.directives) place(directive, registry, top);
  if (top.inner.size === 0) return undefined;
  const missing = registry.required.filter((name) => !root.directives.some((directive) => directive.name === name));
  return ['write it so:', ...missing.map((name) => `  ${name} {}`), ...lines(top, '  ')].join('\n');
}

function place(directive: Directive, registry: Registry, top: Frame): void {
  if (registry.find(directive.name, 'main') !== undefined) return;
  const way = registry.wayTo(directive.name);
  if (way === undefined || way.length === 0) return;
  let frame = top;
  for (const name of way) frame = opened(frame, name);
  frame.pieces.push(summary(directive));
}

function opened(frame: Frame, name: string): Frame {
  const known = frame.inner.get(name);
  if (known !== undefined) return known;
  const inner: Frame = { pieces: [], inner: new Map() };
  frame.inner.set(name, inner);
  return inner;
}

/** As written, shortened: `location /websocket/ { … }`. */
function summary({ name, args, block }: Directive): string {
  const words = [name, ...args.map((argument) => argument.text)].join(' ');
  const short = words.length > 60 ? `${words.slice(0, 59)}…` : words;
  return block === undefined ? `${short};` : `${short} { … }`;
}

const MOST_PIECES = 8;

function lines(frame: Frame, indent: string): string[] {
  const pieces = frame.pieces.slice(0, MOST_PIECES).map((piece) => indent + piece);
  if (frame.pieces.length > MOST_PIECES) pieces.push(`${indent}…`);
  for (const [name, inner] of frame.inner)
    pieces.push(`${indent}${name} {`, ...lines(inner, `${indent}  `), `${indent}}`);
  return pieces;
}

// Who may import whom: down, never up, never sideways, never in a circle.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SourceFile, sourceFiles } from './source-files.ts';

/** The lowest first. Who stands on one floor does not know each other. */
const FLOORS = [
  ['addresses.ts', 'version.ts', 'diagnostics', 'transport', 'zones'],
  ['config', 'http1', 'resolver'],
  ['exchange'],
  ['listen', 'route', 'upstream', 'websocket'],
  ['serve', 'snapshot.ts'],
  ['directives', 'gateway.ts'],
  ['load-snapshot.ts'],
  ['lifecycle'],
  ['cli', 'index.ts'],
] as const;

/** The folder of src/ in which a file stands, or the file itself. */
const roomOf = (path: string): string => path.split('/')[0] as string;

const floorOf = (path: string): number => FLOORS.findIndex((rooms) => rooms.some((room) => room === roomOf(path)));

test('there is a house to look at', () => {
  assert.ok(sourceFiles.length > 100);
  assert.ok(sourceFiles.flatMap(({ imports }) => imports).length > 500);
});

test('every file stands on a floor', () => {
  const homeless = sourceFiles.map(({ path }) => path).filter((path) => floorOf(path) < 0);
  assert.deepEqual(homeless, []);
});

test('every import leads to a file, named with its ending', () => {
  const known = new Set(sourceFiles.map(({ path }) => path));
  assert.deepEqual(
    arrows().filter(([, to]) => !known.has(to)),
    [],
  );
});

test('imports go down, or stay in their folder', () => {
  const wrong = arrows().filter(([from, to]) => roomOf(from) !== roomOf(to) && floorOf(to) >= floorOf(from));
  assert.deepEqual(
    wrong.map(([from, to]) => `${from} → ${to}`),
    [],
  );
});

test('no file reaches itself through its imports, types included', () => {
  assert.deepEqual(
    circles().map((circle) => circle.join(' → ')),
    [],
  );
});

test('what runs imports nothing but Node', () => {
  const wrong = sourceFiles.flatMap(({ path, foreign }) => foreign.map((name) => `${path} → ${name}`));
  assert.deepEqual(
    wrong.filter((arrow) => !arrow.includes(' → node:')),
    [],
  );
});

function arrows(): [string, string][] {
  return sourceFiles.flatMap(({ path, imports }) => imports.map((to): [string, string] => [path, to]));
}

/** Each circle once, as the files on it. */
function circles(): string[][] {
  const files = new Map<string, SourceFile>(sourceFiles.map((file) => [file.path, file]));
  const found: string[][] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path]);
    if (at >= 0 || done.has(path)) return;
    for (const to of files.get(path)?.imports ?? []) walk(to, [...trail, path]);
    done.add(path);
  };
  for (const { path } of sourceFiles) walk(path, []);
  return found;
}

// Writes what is made of other files: docs/directives.md, the figures and the compatibility in README.md. `npm run docs`.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allModules } from '../src/directives/all-modules.ts';
import { withCompatibility } from './compatibility.ts';
import { directivesPage } from './directives-page.ts';
import { withFigures } from './figures.ts';

const ROOT = join(import.meta.dirname, '..');
const RESULTS = join(ROOT, 'bench/results/latest.md');
const SCORE = join(ROOT, 'docs/nginx-suite.md');
const README = join(ROOT, 'README.md');
const DIRECTIVES = join(ROOT, 'docs/directives.md');

interface WrittenFile {
  readonly path: string;
  readonly text: string;
}

/** What the files should be. */
export function writtenFiles(): WrittenFile[] {
  const readme = withFigures(readFileSync(README, 'utf8'), textOf(RESULTS));
  return [
    { path: DIRECTIVES, text: directivesPage(allModules) },
    { path: README, text: withCompatibility(readme, textOf(SCORE)) },
  ];
}

const textOf = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  for (const { path, text } of writtenFiles()) writeFileSync(path, text);
}

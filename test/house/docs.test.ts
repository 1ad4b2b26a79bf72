// What is written by a script is up to date, what is written by hand names what exists, and nothing names this machine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { withCompatibility } from '../../scripts/compatibility.ts';
import { withFigures } from '../../scripts/figures.ts';
import { writtenFiles } from '../../scripts/write-docs.ts';
import { allModules } from '../../src/directives/all-modules.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ROOT = join(import.meta.dirname, '../..');

const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'docs/directives.md',
  'docs/differences-from-nginx.md',
  'docs/websocket.md',
  'bench/README.md',
];

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

for (const { path, text } of writtenFiles()) {
  test(`${relative(ROOT, path)} is what "npm run docs" writes`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, 'run: npm run docs');
  });
}

for (const page of PAGES) {
  test(`the links of ${page} lead somewhere`, () => {
    const links = [...withoutCode(read(page)).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const dead = links.filter(([, path = '', fragment]) => !leadsSomewhere(page, path, fragment));
    assert.deepEqual(
      dead.map(([link]) => link),
      [],
    );
  });

  test(`the files that ${page} names exist`, () => {
    const named = [...read(page).matchAll(/`((?:src|test|scripts|docs|examples)\/[\w./-]*)`/g)].map(
      ([, path]) => path as string,
    );
    assert.deepEqual(
      named.filter((path) => !existsSync(join(ROOT, path))),
      [],
    );
  });

  test(`the commands that ${page} names exist`, () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...read(page).matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name as string);
    assert.deepEqual(
      named.filter((name) => scripts[name] === undefined),
      [],
    );
  });
}

test('the differences from nginx name only directives that exist', () => {
  const known = new Set(allModules.flatMap(({ directives }) => Object.keys(directives)));
  const named = [
    ...read('docs/differences-from-nginx.md').matchAll(/`((?:proxy|ssl|client|worker|keepalive)_[a-z_]+)[ ;`]/g),
  ];
  assert.ok(named.length > 5);
  assert.deepEqual(
    named.map(([, name]) => name as string).filter((name) => !known.has(name)),
    [],
  );
});

test('the configuration of the README is right', (t) => {
  const [, configuration = ''] = /```nginx\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
  const folder = temporaryFolder(t, { 'nginx.conf': configuration });
  const command = [join(ROOT, 'src/cli/main.ts'), '-t', '-p', folder, '-e', 'stderr', '-c', 'nginx.conf'];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', timeout: 30_000 });
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /warn/);
});

test('the figures take their place, and only theirs', () => {
  const readme =
    'a\n<!-- figures: written by `npm run docs` from bench/results/latest.md -->\nold\n<!-- end of figures -->\nb\n';
  const latest = '# Title\n\nText [x](latest.svg) [y](../README.md) [z](https://a.b/)\n\n## How\n\n- so\n';
  const written = withFigures(readme, latest);
  assert.match(
    written,
    /^a\n<!-- figures.*-->\n\nText \[x\]\(bench\/results\/latest.svg\) \[y\]\(bench\/README.md\) \[z\]\(https:/,
  );
  assert.match(written, /\n### How\n\n- so\n\n<!-- end of figures -->\nb\n$/);
  assert.equal(withFigures(written, latest), written);
  assert.throws(() => withFigures('no place', latest), /README.md must have one/);
});

test('the table of compatibility takes its place, and only its', () => {
  const readme =
    'a\n<!-- compatibility: written by `npm run docs` from docs/nginx-suite.md -->\nold\n<!-- end of compatibility -->\nb\n';
  const page = '# Title\n\nText.\n\n| group | of |\n| --- | --- |\n| x | 3 |\n\n## More\n\n| file |\n';
  const written = withCompatibility(readme, page);
  assert.match(written, /^a\n<!-- comp.*-->\n\n\| group \| of \|\n\| --- \| --- \|\n\| x \| 3 \|\n\nBy /);
  assert.doesNotMatch(written, /old|file \|/);
  assert.equal(withCompatibility(written, page), written);
  assert.match(withCompatibility(readme, undefined), /have not been run/);
  assert.throws(() => withCompatibility('no place', page), /README.md must have one/);
});

const withoutCode = (page: string): string => page.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, 'code');

function leadsSomewhere(page: string, path: string, fragment: string | undefined): boolean {
  const target = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
  if (!existsSync(target)) return false;
  return fragment === undefined || !target.endsWith('.md') || anchors(readFileSync(target, 'utf8')).has(fragment);
}

/** As GitHub makes them of headings. */
function anchors(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((one) =>
      one
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}

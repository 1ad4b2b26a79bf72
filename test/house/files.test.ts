// How a file of src/ looks: what its first line says, what it is called, how long it is, what it does without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceFiles } from './source-files.ts';

const LINES_MOST = 450;

/** May have up to so many for the reason beside it. */
const LONGER_MOST = 600;
const LONGER: Readonly<Record<string, string>> = {
  'config/pattern.ts': 'one translator, from PCRE to what V8 takes; a case for each of its constructs',
  'exchange/exchange.ts':
    'an exchange and the settings that it meets: each is made of the other, and there are no circles',
  'listen/http1.ts': 'one state machine: a client’s connection, whose states share their private fields',
  'serve/proxy.ts':
    'one state machine: a request on its way to peers and back, whose states share their private fields',
  'websocket/tunnel.ts': 'one state machine: a tunnel, from its start over its peers to its end',
  'websocket/tunnel-leg.ts': 'one state machine: a side of a tunnel, whose states share their private fields',
  'transport/handle-channel.ts': 'one state machine: a handle, whose states share their private fields',
};

/** A name that says nothing about what is inside. */
const DRAWER = /(?:^|\/)(?:utils?|helpers?|common|types|misc|shared|lib)(?:\.ts|\/|$)/;

/** `any` as a type; the kind of argument that values.ts calls so is called, with a bracket behind it. */
const ANY_TYPE = /[:<|&]\s*any\b(?!\()|,\s*any\s*>|\bas any\b/;

function pathsWhere(isWrong: (file: (typeof sourceFiles)[number]) => boolean): string[] {
  return sourceFiles.filter(isWrong).map(({ path }) => path);
}

test('the first line of a file says what it is for', () => {
  assert.deepEqual(
    pathsWhere(({ text }) => !/^\/\/ \S.{10,}\n/.test(text)),
    [],
  );
});

test('no file is a drawer for whatever has no name', () => {
  assert.deepEqual(
    pathsWhere(({ path }) => DRAWER.test(path)),
    [],
  );
});

test('names of files are in kebab-case', () => {
  assert.deepEqual(
    pathsWhere(({ path }) => !/^(?:[a-z0-9-]+\/)*[a-z0-9-]+\.ts$/.test(path)),
    [],
  );
});

test(`no file is longer than ${LINES_MOST} lines without a reason`, () => {
  const long = sourceFiles.filter(({ path, lines }) => lines > (path in LONGER ? LONGER_MOST : LINES_MOST));
  assert.deepEqual(
    long.map(({ path, lines }) => `${path}: ${lines}`),
    [],
  );
});

test('a reason for being long is taken back when the file is not', () => {
  const short = sourceFiles.filter(({ path, lines }) => path in LONGER && lines <= LINES_MOST);
  assert.deepEqual(
    short.map(({ path }) => path),
    [],
  );
  const paths = new Set(sourceFiles.map(({ path }) => path));
  assert.deepEqual(
    Object.keys(LONGER).filter((path) => !paths.has(path)),
    [],
  );
});

test('Node’s internals are known to transport/ alone', () => {
  assert.deepEqual(
    pathsWhere(({ path, code }) => !path.startsWith('transport/') && /process\.binding|\b_handle\b/.test(code)),
    [],
  );
});

test('nothing is exported as default', () => {
  assert.deepEqual(
    pathsWhere(({ code }) => /\bexport\s+default\b|\bas\s+default\b/.test(code)),
    [],
  );
});

test('no type is any', () => {
  assert.deepEqual(
    pathsWhere(({ code }) => ANY_TYPE.test(code.replace(/'[^'\n]*'|`[^`]*`/g, "''"))),
    [],
  );
});

test('nothing is left to be done later', () => {
  assert.deepEqual(
    pathsWhere(({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(text)),
    [],
  );
});

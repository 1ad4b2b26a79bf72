// How what nginx's tests say is counted, and written down.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readList, scoreOf, scorePage } from '../../scripts/suite-score.ts';
import { countTap } from '../../scripts/tap.ts';

const TAP = `1..7
ok 1 - one
not ok 2 - two
ok 3 - three # SKIP no such thing
not ok 4 - four # TODO not yet
ok 5 - five # todo but done
# not ok 6 - a remark
ok 6 - no alerts
not ok 7 - no sanitizer errors
`;

test('assertions are counted by what became of them', () => {
  const ignored = new Set(['no alerts', 'no sanitizer errors']);
  const counted = countTap(TAP, ignored);
  assert.deepEqual(counted, { planned: 7, passed: 1, failed: 2, skipped: 2, todo: 2, skipsAll: undefined });
  assert.equal(countTap(TAP).passed, 2);
  assert.equal(countTap('1..0 # SKIP no proxy available\n').skipsAll, 'no proxy available');
  assert.deepEqual([countTap('').planned, countTap('').passed], [undefined, 0]);
});

const [file = assert.fail()] = readList('# name n tier group\n\none.t  5 1  first-group\n');

test('a list names files, their assertions and groups', () => {
  assert.deepEqual(file, { name: 'one', assertions: 5, group: 'first-group' });
  assert.deepEqual(readList('two\n'), [{ name: 'two', assertions: 0, group: 'all' }]);
});

test('a file is scored out of all that it has, also where it skipped itself or died', () => {
  const good = '1..4\nok 1 - a\nok 2 - b\nok 3 - no alerts\nok 4 - no sanitizer errors\n';
  const unknown = { ...file, assertions: 0 };
  const score = (tap: string, end = '', which = file) => {
    const { passed, of, state } = scoreOf(which, tap, end);
    return [passed, of, state];
  };
  assert.deepEqual(score(good, '', unknown), [2, 2, 'green']);
  assert.deepEqual(score(TAP), [1, 5, 'partly']);
  assert.deepEqual(score('1..0 # skip no http2\n'), [0, 5, 'skipped']);
  assert.deepEqual(score('', 'exited with 2'), [0, 5, 'failed']);
  assert.deepEqual(score('1..4\nok 1 - a\n', 'timed out after 60 s'), [1, 5, 'partly']);
});

test('the page has a row for each group, their sum, and the files that are not green', () => {
  const files = readList('one.t 5 1 b\ntwo.t 2 1 a\n');
  const taps = [TAP, '1..4\nok 1 - a\nok 2 - b\nok 3 - no alerts\nok 4 - no sanitizer errors\n'];
  const scores = files.map((one, index) => scoreOf(one, taps[index] ?? '', ''));
  const page = scorePage(scores, { commit: 'abc1234', version: '1.2.3', node: '24.0.0', day: '2026-01-02' });
  assert.match(
    page,
    /\| a \| 1 \| 1 \| 2 \| 2 \|\n\| b \| 1 \| 0 \| 1 \| 5 \|\n\| \*\*together\*\* \| 2 \| 1 \| 3 \| 7 \|/,
  );
  assert.match(page, /\| one\.t \| 1 \| 5 \| 2 failed \|\n$/);
  assert.match(page, /`abc1234`/);
});

// What If-… headers make of an answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Headers } from '../../src/http1/headers.ts';
import { checkPreconditions, rangeApplies } from '../../src/serve/preconditions.ts';

const EARLIER = 'Sun, 06 Nov 1994 08:49:36 GMT';
const EXACTLY = 'Sun, 06 Nov 1994 08:49:37 GMT';
const LATER = 'Sun, 06 Nov 1994 08:49:38 GMT';
const validators = { lastModified: 784111777, etag: '"2ebc98a1-3"' };

function headers(fields: Readonly<Record<string, string>>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(fields)) all.add(name, value);
  return all;
}

function check(
  fields: Readonly<Record<string, string>>,
  ifModifiedSince: 'off' | 'exact' | 'before' = 'exact',
): number {
  return checkPreconditions(headers(fields), validators, ifModifiedSince);
}

test('without conditions it is sent', () => {
  assert.equal(check({}), 200);
});

test('If-Modified-Since of the very second is not modified', () => {
  assert.equal(check({ 'If-Modified-Since': EXACTLY }), 304);
  assert.equal(check({ 'If-Modified-Since': EARLIER }), 200);
  assert.equal(check({ 'If-Modified-Since': LATER }), 200);
  assert.equal(check({ 'If-Modified-Since': 'yesterday' }), 200);
});

test('if_modified_since decides what a later date means', () => {
  assert.equal(check({ 'If-Modified-Since': LATER }, 'before'), 304);
  assert.equal(check({ 'If-Modified-Since': EARLIER }, 'before'), 200);
  assert.equal(check({ 'If-Modified-Since': 'yesterday' }, 'before'), 200);
  assert.equal(check({ 'If-Modified-Since': EXACTLY }, 'off'), 200);
});

test('If-None-Match that names the tag, also weakly, is not modified', () => {
  assert.equal(check({ 'If-None-Match': '"2ebc98a1-3"' }), 304);
  assert.equal(check({ 'If-None-Match': 'W/"2ebc98a1-3"' }), 304);
  assert.equal(check({ 'If-None-Match': '"a", W/"b" , "2ebc98a1-3"' }), 304);
  assert.equal(check({ 'If-None-Match': '*' }), 304);
  assert.equal(check({ 'If-None-Match': '"2ebc98a1-4"' }), 200);
  assert.equal(check({ 'If-None-Match': '2ebc98a1-3' }), 200);
});

test('of both, both must say so', () => {
  assert.equal(check({ 'If-Modified-Since': EXACTLY, 'If-None-Match': '"x"' }), 200);
  assert.equal(check({ 'If-Modified-Since': EARLIER, 'If-None-Match': '*' }), 200);
  assert.equal(check({ 'If-Modified-Since': EXACTLY, 'If-None-Match': '*' }), 304);
});

test('If-Match compares strongly', () => {
  assert.equal(check({ 'If-Match': '"x", "2ebc98a1-3"' }), 200);
  assert.equal(check({ 'If-Match': '*' }), 200);
  assert.equal(check({ 'If-Match': 'W/"2ebc98a1-3"' }), 412);
  assert.equal(check({ 'If-Match': '"x"' }), 412);
});

test('If-Unmodified-Since fails where it has been modified since, and where it is no date', () => {
  assert.equal(check({ 'If-Unmodified-Since': EXACTLY }), 200);
  assert.equal(check({ 'If-Unmodified-Since': LATER }), 200);
  assert.equal(check({ 'If-Unmodified-Since': EARLIER }), 412);
  assert.equal(check({ 'If-Unmodified-Since': 'yesterday' }), 412);
});

test('without a tag of ours only the star matches', () => {
  const tagless = { ...validators, etag: '' };
  assert.equal(checkPreconditions(headers({ 'If-Match': '""' }), tagless, 'exact'), 412);
  assert.equal(checkPreconditions(headers({ 'If-None-Match': '' }), tagless, 'exact'), 200);
  assert.equal(checkPreconditions(headers({ 'If-None-Match': '*' }), tagless, 'exact'), 304);
});

test('a range holds where If-Range names this very state', () => {
  const holds = (value: string) => rangeApplies(headers({ 'If-Range': value }), validators);
  assert.equal(rangeApplies(headers({}), validators), true);
  assert.equal(holds('"2ebc98a1-3"'), true);
  assert.equal(holds('W/"2ebc98a1-3"'), false);
  assert.equal(holds('"x"'), false);
  assert.equal(holds(EXACTLY), true);
  assert.equal(holds(LATER), false);
  assert.equal(holds('yesterday'), false);
});

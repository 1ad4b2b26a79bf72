// How Accept-Encoding is read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namesGzip } from '../../src/serve/accepts-gzip.ts';

test('gzip is accepted where it stands as a word, alone or in a list, with a quality above 0', () => {
  for (const accepted of [
    'gzip',
    'GZIP',
    'gzip,deflate',
    'gzip, deflate',
    'deflate, gzip',
    'deflate,gzip;q=1',
    'gzip;q=0.001',
    'gzip ; q=0.5',
    'gzip;Q=1',
    'gzip;q=1.000, br',
    'gzip;',
    'x-gzip, gzip',
  ])
    assert.equal(namesGzip(accepted), true, accepted);
});

test('it is not where it is a part of a word, refused, or followed by what makes no sense', () => {
  for (const accepted of [
    '',
    'deflate',
    'gzipped',
    'x-gzip',
    'gzip;q=0',
    'gzip;q=0.0',
    'gzip;q=0.000',
    'gzip;q=0.0001',
    'gzip;q=1.1',
    'gzip;q=2',
    'gzip;q=a',
    'gzip;q',
    'gzip;q=',
    'gzip;level=9',
    'gzip/1',
  ])
    assert.equal(namesGzip(accepted), false, accepted);
});

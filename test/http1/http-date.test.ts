// Dates are written in one form and read in three (RFC 9110, 5.6.7).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatHttpDate, httpDate, parseHttpDate } from '../../src/http1/http-date.ts';

const MOMENT = Date.UTC(1994, 10, 6, 8, 49, 37);

test('the three forms of RFC 9110 name the same moment', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), MOMENT);
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), MOMENT);
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), MOMENT);
});

test('what follows the seconds is not looked at, as in nginx', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT; length=6'), MOMENT);
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37'), MOMENT);
});

test('a year of two digits is never more than fifty years ahead', () => {
  const now = Date.UTC(2026, 0, 1);
  const yearOf = (digits: string): number =>
    new Date(parseHttpDate(`Monday, 01-Jan-${digits} 00:00:00 GMT`, now) ?? 0).getUTCFullYear();
  assert.deepEqual(['26', '76', '77', '99', '00'].map(yearOf), [2026, 2076, 1977, 1999, 2000]);
});

test('what is no date is undefined', () => {
  const wrong = [
    '',
    'yesterday',
    'Sun, 31 Apr 1994 08:49:37 GMT',
    'Sun, 29 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Xyz 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 0094 08:49:37 GMT',
    '784111777',
    `${' '.repeat(100_000)}x`,
  ];
  for (const text of wrong) assert.equal(parseHttpDate(text), undefined, text.slice(0, 40));
});

test('what is written is read again, and the cached form is the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
      assert.match(formatHttpDate(second * 1000), /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
      assert.equal(parseHttpDate(formatHttpDate(second * 1000)), second * 1000);
      assert.equal(httpDate(second * 1000 + 999), formatHttpDate(second * 1000));
      assert.equal(httpDate(second * 1000), formatHttpDate(second * 1000));
    }),
  );
});

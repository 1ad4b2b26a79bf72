// Passwords as they are stored: each scheme against what crypt(3) and openssl make of the same password.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPassword } from '../../src/serve/passwords/check-password.ts';
import { workSlowly } from '../../src/serve/passwords/slow-work.ts';

const LONG = 'a longer password of more than sixty-four characters, to fill a block of it';

const STORED: readonly [scheme: string, password: string, stored: string][] = [
  ['{PLAIN}', 'good', '{PLAIN}good'],
  ['{SHA}', 'good', '{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs='],
  ['{SSHA}', 'good', '{SSHA}gVPFKSVobQnEn8GpYtM9nr/+TGdzYWx0'],
  ['$apr1$', 'good', '$apr1$saltsalt$.summ4FBEjnqpWnjJNp7g/'],
  ['$1$', 'good', '$1$saltsalt$1MQUU1ezMItRLsMHIumtN1'],
  ['$5$', 'good', '$5$saltsalt$CrM5J9bXng9e4JV6QswJFbHuXgNmZcl03uWpWruFdL.'],
  ['$6$', 'good', '$6$saltsalt$tvNwrYsLeJNmnd1mv9Q9Cmptu3hZMD//oA1pvMy99AU5ZDlCDttOYpCJq1x/gE95vRHP9RtCKwL4hHmXoXP/j.'],
  [
    '$6$ with rounds',
    LONG,
    '$6$rounds=1400$saltsaltsaltsalt$p1QElUHTqJc.hb8RaYeKCfPNCL.2vO2e5LMoWwhkfy43M4M3yyxV1Yc4odZ0amgAbRMx1YdeoB/O8xZIwrP4M/',
  ],
  ['$2a$', 'U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['$2y$', 'secret', '$2y$10$CCCCCCCCCCCCCCCCCCCCC.VVp5aqsPmU7zaCQqZwwreor7t89ae/K'],
  ['DES', 'good', 'sa4EQlvRoTMww'],
  ['DES', 'longer than eight', 'zZb64kacvY9KA'],
  ['DES', '\xff\xe4x', 'a/S1KtVXj.JjE'],
];

function isRight(password: string, stored: string): Promise<boolean> {
  const checked = checkPassword(password, stored);
  if (typeof checked === 'boolean') return Promise.resolve(checked);
  return new Promise((resolve) => workSlowly(checked, () => true, resolve));
}

describe('a password is checked that is stored as', () => {
  for (const [scheme, password, stored] of STORED) {
    test(`${scheme} of ${password.length} characters`, async () => {
      assert.equal(await isRight(`${password.slice(0, 1)}#`, stored), false);
      assert.equal(await isRight(password, stored), true);
      assert.equal(await isRight(password, stored), true, 'and again, when it is remembered');
      assert.equal(await isRight('', stored), false);
    });
  }
});

test('what no scheme has made fits no password', async () => {
  for (const stored of [
    '',
    '*',
    '!',
    '$',
    '$y$j9T$salt$hash',
    '$2y$99$CCCCCCCCCCCCCCCCCCCCC.',
    '$2y$10$',
    '{SSHA}',
    '$6$',
    '$1$',
  ]) {
    assert.equal(await isRight('', stored), false, stored);
    assert.equal(await isRight(stored, stored), false, stored);
  }
});

test('the event loop turns while a slow hash is computed, and hashes that nobody waits for are dropped', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const stored = '$2y$08$CCCCCCCCCCCCCCCCCCCCC.unknown';
  let dropped = false;
  workSlowly(
    checkPassword('x', stored) as never,
    () => false,
    () => {
      dropped = true;
    },
  );
  assert.equal(await isRight('y', stored), false);
  clearInterval(timer);
  assert.ok(turns >= 3, `${turns} turns`);
  assert.equal(dropped, false);
});

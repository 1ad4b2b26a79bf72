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
  return new Promise((resolve, reject) => workSlowly(checked, () => true, resolve, reject));
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
    () => assert.fail(),
  );
  assert.equal(await isRight('y', stored), false);
  clearInterval(timer);
  assert.ok(turns >= 3, `${turns} turns`);
  assert.equal(dropped, false);
});

test('a password that is longer than crypt(3) takes fits nothing, and costs nothing', async () => {
  const stored = '$6$saltsalt$MH/QItLmvaCuzwuhcEYPH6Sjcl/0GNmOaRWoJ3UvxBRieXQMvz4Y0Pbg3gtE34i/ebzdeBIREellN7/bGsbzf.';
  assert.equal(await isRight('a'.repeat(511), stored), true);
  assert.equal(await isRight('a'.repeat(512), stored), false);
  for (const scheme of [stored, '$5$saltsalt$x', '$1$saltsalt$x', '$apr1$saltsalt$x']) {
    const work = checkPassword('a'.repeat(10_000), scheme);
    assert.ok(typeof work !== 'boolean');
    const began = performance.now();
    assert.deepEqual(work.next(), { done: true, value: false });
    assert.ok(performance.now() - began < 1000, scheme);
  }
});

test('work that fails is told, and does not keep those behind it waiting', async () => {
  const fault = new Error('a fault');
  // biome-ignore lint/correctness/useYield: it does not come to that.
  const failing = (function* (): Generator<undefined, boolean> {
    throw fault;
  })();
  const failed = new Promise((resolve) => workSlowly(failing, () => true, resolve, resolve));
  const behind = isRight('good', '$1$saltsalt$1MQUU1ezMItRLsMHIumtN1');
  assert.equal(await failed, fault);
  assert.equal(await behind, true);
});

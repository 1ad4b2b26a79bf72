// Cookies by name, as nginx finds them; and whoever sends very odd ones gets no more of our time for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerCookie, requestCookie } from '../../src/directives/cookies.ts';
import { Headers } from '../../src/http1/headers.ts';

function fields(name: string, ...values: string[]): Headers {
  const headers = new Headers();
  for (const value of values) headers.add(name, value);
  return headers;
}

test('a cookie is found by its name in any case, with spaces around it, in whichever field it stands', () => {
  const headers = fields('Cookie', 'x=1; a b=2;  Name  =  3 ', '\tt=4; e=');
  assert.equal(requestCookie(headers, 'x'), '1');
  assert.equal(requestCookie(headers, 'a b'), '2');
  assert.equal(requestCookie(headers, 'name'), '3 ');
  assert.equal(requestCookie(headers, '\tt'), '4');
  assert.equal(requestCookie(headers, 't'), undefined);
  assert.equal(requestCookie(headers, 'e'), '');
  assert.equal(answerCookie(fields('Set-Cookie', 'b=1; Path=/', ' A =2; b=3'), 'a'), '2');
});

test('a name of very many spaces takes no longer than any other of its length', () => {
  const headers = fields('Cookie', `a${' '.repeat(100_000)}b=1`, ' '.repeat(100_000));
  const began = performance.now();
  assert.equal(requestCookie(headers, 'x'), undefined);
  assert.ok(performance.now() - began < 3000, 'quadratic');
});

// split_clients: the same string has the same value, each value has its share, and the hash is nginx's.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { murmurHash2 } from '../../src/directives/murmur-hash.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(t: TestContext, lines: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `access_log off; split_clients $arg_v $share { ${lines} }
      server { listen 127.0.0.1:8080; location / { return 200 "[$share]"; } }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

test('the hash of texts of every length is MurmurHash2', () => {
  // Computed by the reference implementation, seed 0.
  const known: readonly (readonly [string, number])[] = [
    ['', 0],
    ['a', 0x92685f5e],
    ['ab', 0x1aa14063],
    ['abc', 0x13577c9b],
    ['abcd', 0x26873021],
    ['abcde', 0x5f09a8de],
    ['192.0.2.1', 0xc8da48f3],
    ['\xff\x80\xfe\x00\xff', 0x19391a02],
  ];
  assert.deepEqual(
    known.map(([text]) => murmurHash2(text)),
    known.map(([, hash]) => hash),
  );
});

test('a string’s value is decided by its hash', async (t) => {
  const gateway = await start(t, '12.5% one; 33.33% two; .5% "three";');
  const bounds = [0.125, 0.4583, 0.4633];
  const names = ['[one]', '[two]', '[three]', '[]'];
  for (let v = 0; v < 40; v++) {
    const share = murmurHash2(`${v}`) / 0xffff_ffff;
    const index = bounds.findIndex((bound) => share < bound);
    assert.equal((await ask(gateway.port(), `GET /?v=${v}`)).text, names[index < 0 ? 3 : index], `${v}`);
  }
});

test('what remains is for *, or for who fills it up to 100 %', async (t) => {
  const rest = await start(t, '0.01% few; * rest;');
  const full = await start(t, '0.01% few; 99.99% rest;');
  for (const gateway of [rest, full]) assert.equal((await ask(gateway.port(), 'GET /?v=x')).text, '[rest]');
});

test('of two lines for the rest the first counts, as nothing is left for the second', async (t) => {
  const gateway = await start(t, '0.01% a; * b; * c;');
  assert.equal((await ask(gateway.port(), 'GET /?v=x')).text, '[b]');
});

describe('a mistake is told in nginx’s words', () => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['50% a; 60% b;', /percent total is greater than 100%/],
    ['* a; 1% b;', /percent total is greater than 100%/],
    ['0% a;', /invalid percent value "0%"/],
    ['50 a;', /invalid percent value "50"/],
    ['33.333% a;', /invalid percent value "33\.333%"/],
    ['-1% a;', /invalid percent value "-1%"/],
    ['% a;', /invalid percent value "%"/],
    ['50%;', /invalid number of the split_clients parameters/],
  ];
  for (const [lines, message] of mistakes) {
    test(lines, async (t) => {
      await assert.rejects(start(t, lines), message);
    });
  }
});

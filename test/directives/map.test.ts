// map: which line of it a value finds, and what it makes of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      log_format used "$of_used";
      map $of_volatile $of_used { default $of_volatile; }
      map $arg_v $of_exact {
        default none;
        one first;
        One-Two second;
        \\default "the word";
        "" nothing;
        grün green;
        with $arg_w-$uri;
      }
      map $arg_v $of_pattern {
        default none;
        abc exact;
        ~^ab begins;
        ~*^AB either;
        ~^/(?<part>[a-z]+)/(.*)$ "$part and $2";
        ~.* any;
      }
      map $arg_v $without_default { a b; }
      map "$arg_v:$arg_w" $of_both { a:b both; default none; }
      map $arg_v $of_chain { default $of_exact; }
      map $host $of_host {
        hostnames;
        default other;
        example.org exact;
        *.example.org head;
        .all.org both;
        mail.* tail;
        ~^www pattern;
      }
      map $upstream_addr $of_volatile { volatile; default "$status"; }
      server {
        listen 127.0.0.1:8080;
        location /exact { return 200 "$of_exact"; }
        location /pattern { return 200 "$of_pattern"; }
        location /none { return 200 "[$without_default]"; }
        location /both { return 200 "$of_both"; }
        location /chain { return 200 "$of_chain"; }
        location /host { return 200 "$of_host"; }
        location /volatile { access_log logs/volatile.log used; return 204; }
      }
    `,
  });
});

after(() => gateway.stop());

const at = async (path: string, ...fields: string[]): Promise<string> =>
  (await ask(gateway.port(), `GET ${path}`, ...fields)).text;

describe('exact values', () => {
  test('are found in any case', async () => {
    assert.equal(await at('/exact?v=one'), 'first');
    assert.equal(await at('/exact?v=ONE'), 'first');
    assert.equal(await at('/exact?v=one-two'), 'second');
  });

  test('may be the empty one, and words that mean something else', async () => {
    assert.equal(await at('/exact?v='), 'nothing');
    assert.equal(await at('/exact'), 'nothing');
    assert.equal(await at('/exact?v=default'), 'the word');
  });

  test('are compared as bytes, of which only ASCII has upper and lower case', async () => {
    assert.equal(await at('/exact?v=%67r\xc3\xbcn'.replace('%67', 'g')), Buffer.from('green').toString('latin1'));
    assert.equal(await at('/exact?v=gr\xe3\xbcn'), 'none');
  });

  test('where none fits, default does, or else the empty string', async () => {
    assert.equal(await at('/exact?v=x'), 'none');
    assert.equal(await at('/none?v=x'), '[]');
  });

  test('may stand for a string with variables, other maps among them', async () => {
    assert.equal(await at('/exact?v=with&w=x'), 'x-/exact');
    assert.equal(await at('/chain?v=one'), 'first');
    assert.equal(await at('/both?v=a&w=b'), 'both');
  });
});

describe('expressions', () => {
  test('come after exact values, in their order', async () => {
    assert.equal(await at('/pattern?v=abc'), 'exact');
    assert.equal(await at('/pattern?v=abx'), 'begins');
    assert.equal(await at('/pattern?v=ABX'), 'either');
    assert.equal(await at('/pattern?v=zzz'), 'any');
  });

  test('leave their captures behind', async () => {
    assert.equal(await at('/pattern?v=/some/where'), 'some and where');
  });

  test('are never asked about an empty value', async () => {
    assert.equal(await at('/pattern?v='), 'none');
  });
});

describe('hostnames', () => {
  test('are found as server names are: exact, by the end, by the beginning, by expression', async () => {
    const host = (name: string) => at('/host', `Host: ${name}`);
    assert.equal(await host('example.org'), 'exact');
    assert.equal(await host('Example.ORG.'), 'exact');
    assert.equal(await host('a.b.example.org'), 'head');
    assert.equal(await host('all.org'), 'both');
    assert.equal(await host('x.all.org'), 'both');
    assert.equal(await host('mail.anything'), 'tail');
    assert.equal(await host('www.else'), 'pattern');
    assert.equal(await host('else'), 'other');
  });
});

test('a volatile one is looked up each time', async () => {
  await at('/volatile');
  assert.deepEqual(gateway.lines('logs/volatile.log'), ['204']);
});

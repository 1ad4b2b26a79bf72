// geo: the value of an address, by network or by range; whose address it is; and what is wrong with lines.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(t: TestContext, http: string, files: Record<string, string> = {}): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `access_log off; ${http} server { listen 127.0.0.1:8080; location / { return 200 "[$value]"; } }`,
    files,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** The value of each address, which comes by an argument. */
async function valuesOf(t: TestContext, lines: string, addresses: readonly string[]): Promise<string[]> {
  const gateway = await start(t, `geo $arg_ip $value { ${lines} }`);
  const values: string[] = [];
  for (const address of addresses) values.push((await ask(gateway.port(), `GET /?ip=${address}`)).text.slice(1, -1));
  return values;
}

describe('networks', () => {
  test('of those around an address the smallest one counts, in both families', async (t) => {
    const lines =
      'default none; 10.0.0.0/8 a; 10.1.0.0/16 b; 10.1.2.3 c; 2001:db8::/32 d; 2001:db8:1::/48 e; ::1 f; 10.1.3.0/25 "";';
    const cases: readonly (readonly [string, string])[] = [
      ['10.9.9.9', 'a'],
      ['10.1.9.9', 'b'],
      ['10.1.2.3', 'c'],
      ['10.1.3.127', ''],
      ['10.1.3.128', 'b'],
      ['11.0.0.0', 'none'],
      ['::ffff:10.9.9.9', 'a'],
      ['2001:db8::1', 'd'],
      ['2001:db8:1::1', 'e'],
      ['::1', 'f'],
      ['::2', 'none'],
    ];
    assert.deepEqual(
      await valuesOf(
        t,
        lines,
        cases.map(([address]) => address),
      ),
      cases.map(([, value]) => value),
    );
  });

  test('what is no address is looked for as 255.255.255.255', async (t) => {
    const lines = 'default none; 255.255.255.255 no-address; 10.0.0.0/8 a;';
    assert.deepEqual(await valuesOf(t, lines, ['', 'someone', '10.0.0.1:80', '10.0.0.1']), [
      'no-address',
      'no-address',
      'no-address',
      'a',
    ]);
  });

  test('may be deleted again; without a default there is the empty value', async (t) => {
    const lines = '10.0.0.0/8 a; 10.1.0.0/16 b; delete 10.1.0.0/16; 2001:db8::/32 c; delete 2001:db8::/32;';
    assert.deepEqual(await valuesOf(t, lines, ['10.1.0.1', '2001:db8::1', '1.1.1.1']), ['a', '', '']);
  });
});

describe('ranges', () => {
  test('a range may be cut out of another one, at its ends and in its middle, over many blocks', async (t) => {
    const lines = `
      ranges; default none;
      10.0.0.0-10.5.255.255 a; 10.1.0.0-10.1.0.255 b; 10.1.255.0-10.1.255.255 c; 10.2.0.5-10.2.0.5 d;
      192.0.2.0-192.0.2.9 e; 192.0.2.20-192.0.2.29 f; 192.0.2.10-192.0.2.19 g; 255.255.255.255-255.255.255.255 h;`;
    const cases: readonly (readonly [string, string])[] = [
      ['9.255.255.255', 'none'],
      ['10.0.0.0', 'a'],
      ['10.1.0.0', 'b'],
      ['10.1.1.0', 'a'],
      ['10.1.255.255', 'c'],
      ['10.2.0.4', 'a'],
      ['10.2.0.5', 'd'],
      ['10.2.0.6', 'a'],
      ['10.5.255.255', 'a'],
      ['10.6.0.0', 'none'],
      ['192.0.2.15', 'g'],
      ['192.0.2.20', 'f'],
      ['192.0.2.30', 'none'],
      ['::ffff:192.0.2.1', 'e'],
      ['2001:db8::1', 'h'],
      ['nobody', 'h'],
    ];
    assert.deepEqual(
      await valuesOf(
        t,
        lines,
        cases.map(([address]) => address),
      ),
      cases.map(([, value]) => value),
    );
  });

  test('may be deleted as they were added', async (t) => {
    const lines = 'ranges; 10.0.0.0-10.2.255.255 a; delete 10.0.0.0-10.2.255.255; 10.1.0.0-10.1.0.1 b;';
    assert.deepEqual(await valuesOf(t, lines, ['10.0.0.1', '10.1.0.1', '10.1.0.2']), ['', 'b', '']);
  });
});

test('without a variable it is the client’s address, also the one that realip found', async (t) => {
  const gateway = await start(t, 'set_real_ip_from 127.0.0.1; geo $value { 127.0.0.0/8 here; 192.0.2.0/24 there; }');
  assert.equal((await ask(gateway.port(), 'GET /')).text, '[here]');
  assert.equal((await ask(gateway.port(), 'GET /', 'X-Real-IP: 192.0.2.1')).text, '[there]');
});

test('behind a proxy it is the address of X-Forwarded-For: the last, or recursively the last that is no proxy', async (t) => {
  const lines = '192.0.2.0/24 client; 10.0.0.0/8 proxy; 127.0.0.1 here;';
  const fields = ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 10.0.0.1'];
  const last = await start(t, `geo $value { proxy 127.0.0.0/8; proxy 10.0.0.0/8; ${lines} }`);
  assert.equal((await ask(last.port(), 'GET /', ...fields)).text, '[proxy]');
  assert.equal((await ask(last.port(), 'GET /')).text, '[here]');
  const recursive = await start(t, `geo $value { proxy 127.0.0.0/8; proxy 10.0.0.0/8; proxy_recursive; ${lines} }`);
  assert.equal((await ask(recursive.port(), 'GET /', ...fields)).text, '[client]');
  const other = await start(t, `geo $value { proxy 10.0.0.0/8; proxy_recursive; ${lines} }`);
  assert.equal((await ask(other.port(), 'GET /', ...fields)).text, '[here]');
});

test('lines may stand in a file; values are bytes and nothing else', async (t) => {
  const gateway = await start(t, 'geo $value { default a; include geo.conf; }', {
    'geo.conf': '127.0.0.1 "$arg_x ü";\n',
  });
  assert.equal((await ask(gateway.port(), 'GET /?x=1')).text, '[$arg_x \xc3\xbc]');
});

test('is computed once for a request, or with volatile each time', async (t) => {
  for (const [volatile, second] of [
    ['', 'a'],
    ['volatile;', 'b'],
  ] as const) {
    const gateway = await gatewayFromConfig({
      http: `access_log off;
        geo $arg_ip $value { ${volatile} 10.0.0.0/8 a; 192.0.2.0/24 b; }
        server {
          listen 127.0.0.1:8080;
          location / { error_page 418 /again?ip=192.0.2.1; add_header X-First $value; if ($value) { return 418; } }
          location /again { return 200 "$value"; }
        }`,
    });
    t.after(() => gateway.stop());
    assert.equal((await ask(gateway.port(), 'GET /?ip=10.0.0.1')).text, second);
  }
});

describe('a mistake in a line is told in nginx’s words', () => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['geo $v { 10.0.0.300 a; }', /invalid network "10\.0\.0\.300"/],
    ['geo $v { 10.0.0.0/33 a; }', /invalid network "10\.0\.0\.0\/33"/],
    ['geo $v { proxy nobody; }', /invalid network "nobody"/],
    ['geo $v { default; }', /invalid number of the geo parameters/],
    ['geo $v { 10.0.0.0/8 a b; }', /invalid number of the geo parameters/],
    ['geo $v { 10.0.0.0/8 a; ranges; }', /the "ranges" directive must be the first directive inside "geo" block/],
    ['geo $v { ranges; 10.0.0.0/8 a; }', /invalid range "10\.0\.0\.0\/8"/],
    ['geo $v { ranges; 10.0.0.2-10.0.0.1 a; }', /invalid range/],
    ['geo $v { ranges; ::1-::2 a; }', /invalid range/],
    [
      'geo $v { ranges; 10.0.0.1-10.0.0.9 a; 10.0.0.5-10.0.0.12 b; }',
      /range "10\.0\.0\.5-10\.0\.0\.12" overlaps "10\.0\.0\.1-10\.0\.0\.9"/,
    ],
    ['geo v { }', /invalid variable name "v"/],
    ['geo $nothing $v { }', /unknown "nothing" variable/],
  ];
  for (const [http, message] of mistakes) {
    test(http, async (t) => {
      await assert.rejects(start(t, `${http} map a $value { }`), message);
    });
  }

  test('what is only odd is a warning', async (t) => {
    const gateway = await start(
      t,
      `geo $value { default a; default b; 10.0.0.1/8 c; 10.0.0.0/8 d; delete 11.0.0.0/8; }
       geo $other { ranges; default a; default b; 10.0.0.0-10.0.0.1 a; 10.0.0.0-10.0.0.1 b; delete 10.0.0.0-10.0.0.0; }`,
    );
    assert.deepEqual(
      gateway.warnings.map((line) => line.replace(/ in .*/, '')),
      [
        '[warn] duplicate network "default", value: "b", old value: "a"',
        '[warn] low address bits of 10.0.0.1/8 are meaningless',
        '[warn] duplicate network "10.0.0.0/8", value: "d", old value: "c"',
        '[warn] no network "11.0.0.0/8" to delete',
        '[warn] duplicate default geo range value: "b", old value: "a"',
        '[warn] duplicate range "10.0.0.0-10.0.0.1", value: "b", old value: "a"',
        '[warn] no address range "10.0.0.0-10.0.0.0" to delete',
      ],
    );
  });
});

// Subjects that make an expression of the configuration try everything (ReDoS), and tables that are very large: whoever sends or
// writes them, nobody else waits.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ProbedGateway } from '../faults/probed-gateway.ts';
import { bestOf } from '../support/best-of.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

/** What another connection may have to wait for the worker's own work, in ms; forty at once that are given up make it no longer. */
const STALL_MOST = 100;

/** Without the end that it would have to have. */
const MANY = `${'a'.repeat(60)}!`;

const HTTP = `
  map $arg_plain $plain { ~^(a+)+$ yes; default no; }
  map $arg_around $around { ~^(?=a)(a+)+$ yes; default no; }`;

const SERVER = `
  server_name localhost ~^(?!x)(a+)+$;
  location ~ ^/plain/(a+)+$ { return 200 plain; }
  location ~* ^/case/(a+)+$ { return 200 case; }
  location ~ ^/choice/(?:a|a)*$ { return 200 choice; }
  location ~ ^/around/(?=a)(a+)+$ { return 200 around; }
  location ~ ^/back/(a+)+(b)\\2$ { return 200 back; }
  location ~ "^/count/(?:a{1,40})+$" { return 200 count; }
  location /map/ { return 200 "$plain $around"; }
  location /rewrite/ { rewrite ^/rewrite/(?!x)(a+)+$ /found; return 200 kept; }
  location /if/ { if ($arg_a ~ (?!x)(a+)+$) { return 403; } return 200 open; }`;

/** Echoes over a WebSocket while `work` lasts. @returns the longest time for which the gateway's work held one up, in ms */
async function longestEcho(gateway: ProbedGateway, work: () => Promise<unknown>): Promise<number> {
  const client = await gateway.echo();
  let longest = 0;
  let isOver = false;
  const working = work().finally(() => {
    isOver = true;
  });
  while (!isOver) longest = Math.max(longest, await gateway.timeEcho(client));
  await working;
  client.socket.terminate();
  return longest;
}

async function start(t: TestContext, main: string): Promise<ProbedGateway> {
  return ProbedGateway.start(t, { main, http: HTTP, server: SERVER });
}

const EXPECTED: readonly (readonly [path: string, status: number])[] = [
  // V8's linear engine takes these over.
  [`/plain/${MANY}`, 404],
  [`/case/${MANY}`, 404],
  [`/choice/${MANY}`, 404],
  // These it cannot take over: they are given up.
  [`/around/${MANY}`, 500],
  [`/back/${MANY}`, 500],
  [`/count/${MANY}`, 500],
  [`/map/?plain=${MANY}&around=${MANY}`, 200],
  [`/rewrite/${MANY}`, 500],
  [`/if/?a=${MANY}`, 500],
];

for (const [mode, main] of [
  ['in a worker', ''],
  ['with master_process off', 'master_process off;'],
] as const) {
  test(`an expression that tries everything is stopped, and nobody else waits: ${mode}`, async (t) => {
    const gateway = await start(t, main);
    const longest = await bestOf(STALL_MOST, () =>
      longestEcho(gateway, async () => {
        for (const [path, status] of EXPECTED)
          assert.equal((await ask(gateway.port, `GET ${path}`)).status, status, path);
        const { status } = await ask(gateway.port, 'GET /if/', `Host: ${'a'.repeat(60)}-`);
        assert.equal(status, 200, 'a name that is nobody’s is the default server’s');
      }),
    );
    t.diagnostic(`longest echo: ${longest.toFixed(1)} ms`);
    assert.ok(longest < STALL_MOST, `${longest} ms`);
    assert.match(gateway.sockgate.errorLog(), /matching "\^\(\?!x\)\(a\+\)\+\$" was given up/);
    assert.equal((await ask(gateway.port, `GET /map/?plain=${MANY}&around=${MANY}`)).text, 'no no');
    assert.match(gateway.sockgate.errorLog(), /matching "\^\/around\/.*" was given up after \d+ ms/);
    await gateway.alive();
  });
}

test('many such requests at once do not hold others up one after another', async (t) => {
  const gateway = await start(t, '');
  const fits = `/around/${'a'.repeat(60)}`;
  const longest = await bestOf(STALL_MOST, async () => {
    const time = await longestEcho(gateway, async () => {
      const flood = Array.from({ length: 40 }, () => ask(gateway.port, `GET /around/${MANY}`));
      for (const { status } of await Promise.all(flood)) assert.equal(status, 500);
    });
    await until('what fits is found', async () => (await ask(gateway.port, `GET ${fits}`)).text === 'around');
    return time;
  });
  t.diagnostic(`longest echo: ${longest.toFixed(1)} ms`);
  assert.ok(longest < STALL_MOST, `${longest} ms`);
  assert.match(gateway.sockgate.errorLog(), /was given up after 2 ms/);
  assert.match(gateway.sockgate.errorLog(), /was given up at once, for others have used up its time/);
});

test('what fits is found as before, and a long subject that does no harm is matched', async (t) => {
  const gateway = await start(t, '');
  const many = 'a'.repeat(3000);
  const answers = [
    ['/plain/aaa', 'plain'],
    ['/case/AaA', 'case'],
    [`/around/${many}`, 'around'],
    ['/back/aabb', 'back'],
    [`/count/${many}`, 'count'],
    [`/map/?plain=${many}&around=aa`, 'yes yes'],
    ['/if/?a=x', 'open'],
  ] as const;
  for (const [path, text] of answers)
    assert.equal((await ask(gateway.port, `GET ${path}`)).text, text, path.slice(0, 20));
});

test('a map of 100 000 lines is as quick as a short one, and so are very many arguments', async (t) => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `value-${index} ${index};`);
  const gateway = await ProbedGateway.start(t, {
    http: `map $arg_x $found { default none; ${lines.join('\n')} }`,
    server: 'location /found/ { return 200 $found; }',
  });
  const args = Array.from({ length: 1200 }, (_, index) => `a${index}=`).join('&');
  const longest = await bestOf(STALL_MOST, () =>
    longestEcho(gateway, async () => {
      for (let i = 1; i < 50; i++)
        assert.equal((await ask(gateway.port, `GET /found/?x=value-${i}999`)).text, `${i}999`);
      for (let i = 0; i < 20; i++) assert.equal((await ask(gateway.port, `GET /found/?${args}`)).text, 'none');
    }),
  );
  t.diagnostic(`longest echo: ${longest.toFixed(1)} ms`);
  assert.ok(longest < STALL_MOST, `${longest} ms`);
});

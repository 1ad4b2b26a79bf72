// rewrite_log: what becomes of a request in `rewrite` and `if`, told at [notice] where it is asked for.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(t: TestContext, server: string, level = 'notice'): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    main: `error_log logs/error.log ${level};`,
    http: `access_log off; server { listen 127.0.0.1:8080; ${server} }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** What is told of one request. */
async function told(gateway: RunningGateway, path: string): Promise<(string | undefined)[]> {
  const before = gateway.lines().length;
  await ask(gateway.port(), `GET ${path}`);
  return gateway
    .lines()
    .slice(before)
    .map((line) => /\[notice\] .*?: (?:\*\d+ )?(.*?), client: 127\.0\.0\.1/.exec(line)?.[1])
    .filter((line) => line !== undefined);
}

const RULES = 'rewrite ^/no /x; rewrite ^/a /b last;';

test('nothing is told where it is not asked for, and nothing where the log leaves out notices', async (t) => {
  assert.deepEqual(await told(await start(t, RULES), '/a'), []);
  const quiet = await start(t, `rewrite_log on; ${RULES}`, 'warn');
  await ask(quiet.port(), 'GET /a');
  assert.ok(!quiet.lines().some((line) => line.includes('matches')));
});

test('an `if` with a regular expression tells how it went and by what value, one without is silent', async (t) => {
  const gateway = await start(
    t,
    `rewrite_log on;
     if ($arg_x ~ "^a") { set $y 1; }
     if ($arg_x !~ "^b") { set $y 2; }
     if ($arg_x = a) { set $y 3; }
     location / { return 204; }`,
  );
  assert.deepEqual(await told(gateway, '/?x=abc'), ['"^a" matches "abc"', '"^b" does not match "abc"']);
  assert.deepEqual(await told(gateway, '/?x=b'), ['"^a" does not match "b"', '"^b" matches "b"']);
});

test('lines of a server and of the location that is found then are told in the order in which they are run', async (t) => {
  const gateway = await start(
    t,
    'rewrite_log on; rewrite ^/a(.*) /b$1; location /b { rewrite ^/b(.*) /c$1 last; } location /c { return 204; }',
  );
  assert.deepEqual(await told(gateway, '/a1?q=r'), [
    '"^/a(.*)" matches "/a1"',
    'rewritten data: "/b1", args: "q=r"',
    '"^/b(.*)" matches "/b1"',
    'rewritten data: "/c1", args: "q=r"',
  ]);
});

test('a location may be silent where the server is not, and the other way round', async (t) => {
  const gateway = await start(
    t,
    `rewrite_log on;
     location /off { rewrite_log off; rewrite ^/no /x; return 204; }
     location /on { rewrite ^/no /x; if ($arg_x) { rewrite ^/never /x; } return 204; }`,
  );
  assert.deepEqual(await told(gateway, '/off'), []);
  assert.deepEqual(await told(gateway, '/on?x=1'), ['"^/no" does not match "/on"', '"^/never" does not match "/on"']);
});

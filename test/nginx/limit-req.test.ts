// limit_req: what passes, what waits, what is refused; what is said of it; and that who goes while it waits has gone.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

async function start(t: TestContext, http: string, main = ''): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({ main, http: `log_format said '$status $limit_req_status'; ${http}` });
  t.after(() => gateway.stop());
  return gateway;
}

/** A rate at which next to nothing drains while a test runs: a thousandth in 60 ms. */
const SLOW = 'limit_req_zone $arg_k zone=slow:1m rate=1r/m;';
const server = (lines: string): string => `server { listen 127.0.0.1:8080; access_log logs/access.log said; ${lines} }`;
const statuses = async (gateway: RunningGateway, paths: readonly string[]): Promise<number[]> => {
  const found: number[] = [];
  for (const path of paths) found.push((await ask(gateway.port(), `GET ${path}`)).status);
  return found;
};

test('of one key as many pass at once as its burst allows, of an empty key all', async (t) => {
  const gateway = await start(
    t,
    `${SLOW} ${server('limit_req zone=slow burst=2 nodelay; location / { return 204; }')}`,
  );
  const paths = ['/?k=a', '/?k=a', '/?k=a', '/?k=a', '/?k=b', '/', '/', '/', '/'];
  // A `return` is of the rewrite phase, which comes before.
  assert.deepEqual(
    await statuses(gateway, paths),
    paths.map(() => 204),
  );
  const other = await start(
    t,
    `${SLOW} ${server('limit_req zone=slow burst=2 nodelay; location / { try_files /none =404; }')}`,
  );
  assert.deepEqual(await statuses(other, paths), [404, 404, 404, 503, 404, 404, 404, 404, 404]);
  assert.match(
    other.read('logs/error.log'),
    /\[error\].* limiting requests, excess: (?:3\.000|2\.9\d\d) by zone "slow", client: 127\.0\.0\.1, server: , request: "GET \/\?k=a HTTP\/1\.1"/,
  );
  assert.deepEqual(other.lines('logs/access.log').slice(2, 6), ['404 PASSED', '503 REJECTED', '404 PASSED', '404 -']);
});

test('what is too fast waits for its turn, and goes on then', async (t) => {
  const gateway = await start(
    t,
    `limit_req_zone $arg_k zone=fast:1m rate=2r/s;
     ${server('limit_req_log_level warn; limit_req zone=fast burst=5; location / { try_files /none =404; }')}`,
  );
  const began = performance.now();
  const took = await Promise.all(
    [0, 1, 2].map(async () => {
      assert.equal((await ask(gateway.port(), 'GET /?k=a')).status, 404);
      return performance.now() - began;
    }),
  );
  took.sort((a, b) => a - b);
  assert.ok((took[1] as number) >= 450 && (took[2] as number) >= 950, `${took}`);
  assert.match(
    gateway.read('logs/error.log'),
    /\[notice\].* delaying request, excess: [01]\.\d{3}, by zone "fast", client:/,
  );
  assert.deepEqual(gateway.lines('logs/access.log').sort(), ['404 DELAYED', '404 DELAYED', '404 PASSED']);
});

test('with delay= the first of a burst do not wait', async (t) => {
  const gateway = await start(
    t,
    `${SLOW} ${server('limit_req_dry_run on; limit_req zone=slow burst=5 delay=2; location / { try_files /none =404; }')}`,
  );
  assert.deepEqual(await statuses(gateway, ['/?k=a', '/?k=a', '/?k=a', '/?k=a']), [404, 404, 404, 404]);
  assert.deepEqual(gateway.lines('logs/access.log'), ['404 PASSED', '404 PASSED', '404 PASSED', '404 DELAYED_DRY_RUN']);
});

test('several limits hold together: who is refused by one counts for none, and the longest delay is the one', async (t) => {
  const gateway = await start(
    t,
    `limit_req_zone $arg_a zone=a:1m rate=1r/m;
     limit_req_zone $arg_b zone=b:1m rate=1r/m;
     ${server(`
       limit_req zone=a burst=1 nodelay; limit_req zone=b burst=2 nodelay;
       location / { try_files /none =404; }`)}`,
  );
  // The last limit refuses: the first one must not have counted.
  assert.deepEqual(
    await statuses(gateway, ['/?b=x', '/?b=x', '/?b=x', '/?a=y&b=x', '/?a=y&b=x']),
    [404, 404, 404, 503, 503],
  );
  assert.deepEqual(await statuses(gateway, ['/?a=y', '/?a=y', '/?a=y']), [404, 404, 503]);
  assert.match(
    gateway.read('logs/error.log'),
    /excess: (?:3\.000|2\.9\d\d) by zone "b".*excess: (?:2\.000|1\.9\d\d) by zone "a"/s,
  );
});

test('in a dry run nothing is refused or delayed, but told', async (t) => {
  const gateway = await start(
    t,
    `${SLOW} ${server(`
      limit_req_dry_run on; limit_req_status 429;
      location / { limit_req zone=slow burst=1; try_files /none =404; }`)}`,
  );
  assert.deepEqual(await statuses(gateway, ['/?k=a', '/?k=a', '/?k=a']), [404, 404, 404]);
  assert.deepEqual(gateway.lines('logs/access.log'), ['404 PASSED', '404 DELAYED_DRY_RUN', '404 REJECTED_DRY_RUN']);
  assert.match(
    gateway.read('logs/error.log'),
    /\[error\].*limiting requests, dry run, excess: (?:2\.000|1\.9\d\d) by zone "slow"/,
  );
});

test('the status of a refusal may have a page, which is not held to the limit again', async (t) => {
  const gateway = await start(
    t,
    `${SLOW} ${server(`
      limit_req zone=slow; limit_req_status 429; error_page 429 /page;
      location / { try_files /none =404; }
      location = /page { internal; try_files /none =410; }`)}`,
  );
  assert.deepEqual(await statuses(gateway, ['/?k=a', '/?k=a']), [404, 410]);
  assert.equal(gateway.lines('logs/access.log')[1], '410 REJECTED');
});

test('a client that goes while it waits is logged with 499, and nothing is done for it', async (t) => {
  const gateway = await start(
    t,
    `${SLOW} ${server('limit_req zone=slow burst=5; location / { try_files /none =404; }')}`,
  );
  assert.deepEqual(await statuses(gateway, ['/?k=a']), [404]);
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const client = await RawClient.to(t, gateway.port());
    client.send('GET /?k=a HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the delay', () => gateway.read('logs/error.log').includes('delaying request'));
    client.socket[leave]();
  }
  await until('both lines', () => gateway.lines('logs/access.log').length === 3);
  assert.deepEqual(gateway.lines('logs/access.log').slice(1), ['499 DELAYED', '499 DELAYED']);
});

describe('a mistake is told in nginx’s words', () => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['limit_req_zone $arg_k zone=a:1m rate=0r/s;', /invalid rate "rate=0r\/s"/],
    ['limit_req_zone $arg_k zone=a:1m rate=1r/h;', /invalid rate "rate=1r\/h"/],
    ['limit_req_zone $arg_k zone=a rate=1r/s;', /invalid zone size "zone=a"/],
    ['limit_req_zone $arg_k zone=a:1x rate=1r/s;', /invalid zone size "zone=a:1x"/],
    ['limit_req_zone $arg_k zone=a:1k rate=1r/s;', /zone "zone=a:1k" is too small/],
    ['limit_req_zone $arg_k zone=:1m rate=1r/s;', /"limit_req_zone" must have "zone" parameter/],
    ['limit_req_zone $arg_k zone=a:1m heavy;', /invalid parameter "heavy"/],
    [
      `${SLOW} limit_req_zone $arg_x zone=slow:1m rate=1r/s;`,
      /limit_req_zone "slow" is already bound to key "\$arg_k"/,
    ],
    [`${SLOW} ${server('limit_req zone=slow burst=0;')}`, /invalid burst value "burst=0"/],
    [`${SLOW} ${server('limit_req zone=slow delay=x;')}`, /invalid delay value "delay=x"/],
    [`${SLOW} ${server('limit_req burst=1;')}`, /"limit_req" must have "zone" parameter/],
    [`${SLOW} ${server('limit_req zone=slow; limit_req zone=slow burst=1;')}`, /"limit_req" directive is duplicate/],
    [server('limit_req zone=none;'), /zero size shared memory zone "none"/],
    [
      `limit_conn_zone $arg_k zone=c:1m; ${server('limit_req zone=c;')}`,
      /the shared memory zone "c" is already declared for a different use/,
    ],
    [server('limit_req_status 399;'), /value must be between 400 and 599/],
    [server('limit_req_log_level crit;'), /invalid value "crit"/],
  ];
  for (const [http, message] of mistakes) {
    test(http, async (t) => {
      await assert.rejects(start(t, http), message);
    });
  }
});

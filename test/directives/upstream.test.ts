// upstream: who of a group is asked, when the next one, and which connections are kept.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask, type RawAnswer } from '../support/raw-http.ts';
import { TellingPeer, type ToldRequest } from '../support/telling-peer.ts';

let gateway: RunningGateway;
let peers: readonly [TellingPeer, TellingPeer, TellingPeer];

before(async () => {
  peers = [await TellingPeer.start(), await TellingPeer.start(), await TellingPeer.start()];
  const [a, b, c] = peers.map(({ port }) => `127.0.0.1:${port}`);
  const dead = `127.0.0.1:${await freePort()}`;
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      log_format addr "$upstream_addr|$upstream_status";
      log_format passes "$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|$upstream_bytes_sent|$upstream_bytes_received";
      add_header X-Peer $upstream_addr always;
      upstream even { server ${a}; server ${b}; }
      upstream weighted { server ${a} weight=3; server ${b}; }
      upstream named { server localhost:${peers[0].port}; }
      upstream spare { server ${a} down; server ${b} backup; }
      upstream failing { server ${dead} max_fails=0; server ${a} max_fails=0; }
      upstream forgiven { server ${a} max_fails=0; server ${b} max_fails=0; }
      upstream gone { server ${dead}; }
      upstream all-down { server ${a} down; server ${b} down; }
      upstream kept { server ${c}; }
      upstream kept-not { server ${c}; keepalive 0; }
      upstream kept-twice { server ${c}; keepalive 4; keepalive_requests 2; }
      upstream by-route { server ${a} route=one; server ${b}; sticky route $cookie_r $arg_r; }
      upstream by-cookie { server ${a}; server ${b}; server ${c}; sticky route; }
      upstream with-zone { zone z 64k; server ${a} max_conns=100 fail_timeout=5s; }
      server {
        listen 127.0.0.1:8080;
        location /even { proxy_pass http://even; }
        location /weighted { proxy_pass http://weighted; }
        location /named { proxy_pass http://named; }
        location /spare { proxy_pass http://spare; }
        location /failing { access_log logs/failing.log addr; proxy_pass http://failing; }
        location /failing-off { proxy_next_upstream off; proxy_pass http://failing; }
        location /failing-once { proxy_next_upstream_tries 1; proxy_pass http://failing; }
        location /status { proxy_next_upstream http_503; proxy_pass http://even; }
        location /passes { access_log logs/passes.log passes; proxy_next_upstream http_503; proxy_pass http://forgiven; }
        location /gone { access_log logs/gone.log addr; proxy_pass http://gone; }
        location /two-groups { access_log logs/two-groups.log addr; proxy_intercept_errors on; error_page 503 @second; proxy_pass http://even; }
        location @second { access_log logs/two-groups.log addr; proxy_pass http://kept; }
        location /all-down { proxy_pass http://all-down; }
        location /kept { proxy_pass http://kept; }
        location /kept-not { proxy_pass http://kept-not; }
        location /kept-twice { proxy_pass http://kept-twice; }
        location /kept-closed { proxy_set_header Connection close; proxy_pass http://kept; }
        location /by-route { proxy_pass http://by-route; }
        location /by-cookie { proxy_pass http://by-cookie; }
        location /with-zone { proxy_pass http://with-zone; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  for (const peer of peers) peer.stop();
});

const get = (path: string, ...fields: string[]): Promise<RawAnswer> => ask(gateway.port(), `GET ${path}`, ...fields);

/** Which of the peers has answered: 0, 1, 2. */
async function answeredBy(path: string, ...fields: string[]): Promise<number> {
  const { headers } = await get(path, ...fields);
  const last = headers.get('x-peer')?.split(', ').at(-1);
  return peers.findIndex(({ port }) => last === `127.0.0.1:${port}`);
}

async function several(count: number, path: string, ...fields: string[]): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push(await answeredBy(path, ...fields));
  return found;
}

describe('the peers of a group', () => {
  test('take turns', async () => {
    assert.deepEqual((await several(4, '/even')).toSorted(), [0, 0, 1, 1]);
  });

  test('take turns by their weight, smoothly', async () => {
    assert.deepEqual(await several(8, '/weighted'), [0, 0, 1, 0, 0, 0, 1, 0]);
  });

  test('may be named: the name is looked up when the configuration is loaded', async () => {
    assert.equal((await get('/named')).status, 200);
  });

  test('that are down are not asked, and backups only where no other is left', async () => {
    assert.deepEqual(await several(2, '/spare'), [1, 1]);
  });

  test('may stand in a zone', async () => {
    assert.equal(await answeredBy('/with-zone'), 0);
  });
});

describe('the next peer', () => {
  test('is asked where one refuses, and both are logged', async () => {
    assert.deepEqual(await several(2, '/failing'), [0, 0]);
    const lines = gateway.lines('logs/failing.log');
    assert.ok(
      lines.some((line) => /^127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+\|502, 200$/.test(line)),
      lines.join('\n'),
    );
  });

  test('is not asked where proxy_next_upstream or its tries say so', async () => {
    const statuses = async (path: string): Promise<number[]> => [(await get(path)).status, (await get(path)).status];
    assert.deepEqual((await statuses('/failing-off')).toSorted(), [200, 502]);
    assert.deepEqual((await statuses('/failing-once')).toSorted(), [200, 502]);
  });

  test('is asked after a status that it names, and the last answer counts', async () => {
    const { status, headers } = await get('/status?status=503');
    assert.equal(status, 503);
    assert.equal(headers.get('x-peer')?.split(', ').length, 2);
  });

  test('is not there: 502, and the name of the group where none could be chosen', async () => {
    assert.equal((await get('/gone')).status, 502);
    assert.match(gateway.lines('logs/gone.log')[0] ?? '', /^127\.0\.0\.1:\d+\|502$/);
    const { status, headers } = await get('/all-down');
    assert.deepEqual([status, headers.get('x-peer')], [502, 'all-down']);
    assert.ok(gateway.lines().some((line) => line.includes('no live upstreams while connecting to upstream')));
  });
});

test('each pass has its times and its bytes, also one whose answer nobody got', async () => {
  await get('/passes?status=503');
  const line = gateway.lines('logs/passes.log').at(-1) ?? '';
  const [time, bytes] = ['\\d+\\.\\d{3}, \\d+\\.\\d{3}', '[1-9]\\d*, [1-9]\\d*'];
  assert.match(line, new RegExp(`^503, 503\\|${time}\\|${time}\\|${time}\\|${bytes}\\|${bytes}$`));
});

test('the peers of two groups are told apart in the log', async () => {
  await get('/two-groups?status=503');
  assert.match(gateway.lines('logs/two-groups.log')[0] ?? '', /^127\.0\.0\.1:\d+ : 127\.0\.0\.1:\d+\|503 : 503$/);
});

describe('a connection to a peer', () => {
  const connection = async (path: string): Promise<number> =>
    (JSON.parse((await get(path)).text) as ToldRequest).connection;

  test('is kept for the next request by default', async () => {
    const first = await connection('/kept');
    assert.equal(await connection('/kept'), first);
  });

  test('is not kept with keepalive 0, nor where the request says close', async () => {
    assert.notEqual(await connection('/kept-not'), await connection('/kept-not'));
    assert.notEqual(await connection('/kept-closed'), await connection('/kept-closed'));
  });

  test('serves keepalive_requests requests', async () => {
    const used = [await connection('/kept-twice'), await connection('/kept-twice'), await connection('/kept-twice')];
    assert.equal(used[0], used[1]);
    assert.notEqual(used[1], used[2]);
  });
});

describe('sticky route with variables', () => {
  test('finds the peer by its route, the first variable that is not empty counting', async () => {
    assert.deepEqual(await several(3, '/by-route', 'Cookie: r=one'), [0, 0, 0]);
    assert.deepEqual(await several(3, '/by-route?r=one'), [0, 0, 0]);
    assert.deepEqual(await several(3, '/by-route?r=other', 'Cookie: r=one'), [0, 0, 0]);
  });

  test('finds a peer without a route by the MD5 of its address', async () => {
    const sid = createHash('md5').update(`127.0.0.1:${peers[1].port}`).digest('hex');
    assert.deepEqual(await several(3, `/by-route?r=${sid}`), [1, 1, 1]);
  });

  test('takes turns where the route is unknown', async () => {
    assert.deepEqual(new Set(await several(6, '/by-route?r=unknown')), new Set([0, 1]));
  });
});

describe('bare sticky route', () => {
  test('sets a cookie that leads back, and that says nothing of the address', async () => {
    const { headers } = await get('/by-cookie');
    const [, value = ''] =
      /^route=([\w-]+); Path=\/; HttpOnly; SameSite=Lax$/.exec(headers.get('set-cookie') ?? '') ?? [];
    assert.ok(value.length > 10 && !value.includes('127'));
    const first = await answeredBy('/by-cookie', `Cookie: route=${value}`);
    assert.deepEqual(await several(3, '/by-cookie', `Cookie: route=${value}`), [first, first, first]);
    assert.equal((await get('/by-cookie', `Cookie: route=${value}`)).headers.get('set-cookie'), undefined);
    assert.deepEqual(await several(2, `/by-cookie?route=${value}`), [first, first]);
  });

  test('chooses by the address of a client that keeps no cookies', async () => {
    const [first, ...others] = await several(4, '/by-cookie');
    assert.deepEqual(others, [first, first, first]);
  });
});

// health_check by requests and by connections: who is asked what, who gets requests, and what the log says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { BROKEN, CHECK_URI, type CheckedPeer, OK, startCheckedPeer } from '../support/checked-peer.ts';
import { DnsServer, dnsZone } from '../support/dns-server.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

const FAST = 'interval=20ms';

interface Setup {
  /** Parameters of health_check. Default: often, of CHECK_URI. */
  readonly check?: string;
  /** More of the location, of the upstream, and of http. */
  readonly location?: string;
  readonly upstream?: string;
  readonly http?: string;
  readonly scheme?: 'http' | 'https';
}

async function start(t: TestContext, ports: readonly number[], setup: Setup = {}): Promise<RunningGateway> {
  const { check = `${FAST} uri=${CHECK_URI}`, location = '', upstream = '', http = '', scheme = 'http' } = setup;
  const servers = ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`).join(' ');
  const gateway = await gatewayFromConfig({
    http: `
      ${http}
      upstream app { zone app 64k; ${upstream} ${servers} }
      server {
        listen 127.0.0.1:8080;
        location / { proxy_pass ${scheme}://app; ${location} health_check ${check}; }
      }
    `,
  });
  t.after(() => gateway.stop());
  return gateway;
}

const logged = (gateway: RunningGateway, text: string | RegExp): Promise<string> =>
  until(`${text} in the log:\n${gateway.read('logs/error.log')}`, () =>
    gateway.lines().find((line) => (typeof text === 'string' ? line.includes(text) : text.test(line))),
  );

async function pair(t: TestContext, setup?: Setup): Promise<[RunningGateway, CheckedPeer, CheckedPeer]> {
  const one = await startCheckedPeer(t, 'one');
  const two = await startCheckedPeer(t, 'two');
  return [await start(t, [one.port, two.port], setup), one, two];
}

const whoAnswers = async (gateway: RunningGateway): Promise<string> => (await ask(gateway.port(), 'GET /')).text;

async function answersOf(gateway: RunningGateway, requests: number): Promise<string[]> {
  const answers: string[] = [];
  for (let i = 0; i < requests; i++) answers.push(await whoAnswers(gateway));
  return answers;
}

test('a server whose check fails gets no requests until it is healthy again, and the log tells both', async (t) => {
  const [gateway, one] = await pair(t);
  one.answer = BROKEN;
  const where = `health check "" of peer 127.0.0.1:${one.port} in upstream "app"`;
  const fallen = await logged(gateway, `peer is unhealthy while checking status code, ${where}`);
  assert.match(fallen, /\[warn\]/);
  assert.deepEqual(new Set(await answersOf(gateway, 4)), new Set(['two']));
  one.answer = (response) => response.end();
  assert.match(await logged(gateway, `peer is healthy while checking status code, ${where}`), /\[notice\]/);
  assert.deepEqual(new Set(await answersOf(gateway, 4)), new Set(['one', 'two']));
});

test('where all servers are unhealthy a request is a 502', async (t) => {
  const [gateway, one, two] = await pair(t);
  one.answer = BROKEN;
  two.answer = BROKEN;
  await until(
    'both to be unhealthy',
    () => gateway.lines().filter((line) => line.includes('is unhealthy')).length === 2,
  );
  assert.equal((await ask(gateway.port(), 'GET /')).status, 502);
  await logged(gateway, 'no live upstreams while connecting to upstream');
});

test('a server that has gone is noticed without a client, and found again when it is back', async (t) => {
  const [gateway, one] = await pair(t);
  await one.checked();
  await one.die();
  const where = `while connecting to upstream, health check "" of peer 127.0.0.1:${one.port} in upstream "app"`;
  assert.match(await logged(gateway, `connect() failed (111: Connection refused) ${where}`), /\[error\]/);
  await logged(gateway, `peer is unhealthy ${where}`);
  assert.deepEqual(new Set(await answersOf(gateway, 4)), new Set(['two']));
  await one.listen();
  await logged(gateway, 'peer is healthy');
  assert.deepEqual(new Set(await answersOf(gateway, 4)), new Set(['one', 'two']));
});

test('with slow_start a server that has become healthy gets its share little by little', async (t) => {
  const one = await startCheckedPeer(t, 'one');
  const two = await startCheckedPeer(t, 'two');
  one.answer = BROKEN;
  const gateway = await gatewayFromConfig({
    http: `
      upstream app { zone app 64k; server 127.0.0.1:${one.port} slow_start=1h; server 127.0.0.1:${two.port}; }
      server {
        listen 127.0.0.1:8080;
        location / { proxy_pass http://app; health_check ${FAST} uri=${CHECK_URI}; }
      }`,
  });
  t.after(() => gateway.stop());
  await logged(gateway, 'peer is unhealthy');
  one.answer = OK;
  await logged(gateway, 'peer is healthy');
  assert.deepEqual(new Set(await answersOf(gateway, 20)), new Set(['two']));
  two.answer = BROKEN;
  await until('the first one alone', async () => (await whoAnswers(gateway)) === 'one');
});

test('a client that is bound to an unhealthy server gets another one', async (t) => {
  const [gateway, one] = await pair(t, { upstream: 'sticky cookie srv;' });
  const bound = async (): Promise<string> => {
    for (;;) {
      const { text, headers } = await ask(gateway.port(), 'GET /');
      if (text === 'one') return (headers.get('set-cookie') ?? '').split(';')[0] as string;
    }
  };
  const cookie = await bound();
  const again = async (): Promise<string> => (await ask(gateway.port(), 'GET /', `Cookie: ${cookie}`)).text;
  assert.equal(await again(), 'one');
  one.answer = BROKEN;
  await logged(gateway, 'peer is unhealthy');
  assert.equal(await again(), 'two');
  one.answer = OK;
  await logged(gateway, 'peer is healthy');
  assert.equal(await again(), 'one');
});

test('fails= and passes= count checks one after the other', async (t) => {
  const [gateway, one] = await pair(t, { check: `${FAST} uri=${CHECK_URI} fails=3 passes=2` });
  const statuses = [500, 500, 200, 500, 500, 500, 200, 500, 200, 200];
  let at = 0;
  const changed: string[] = [];
  one.answer = (response) => {
    // What has been said of the checks before this one.
    const lines = gateway.lines().filter((line) => line.includes('peer is'));
    changed[at] = lines.map((line) => (line.includes('unhealthy') ? 'down' : 'up')).join(' ');
    response.statusCode = statuses[at++] ?? 200;
    response.end();
  };
  await until('all answers', () => at > statuses.length);
  assert.deepEqual(changed.slice(0, 11), ['', '', '', '', '', '', 'down', 'down', 'down', 'down', 'down up']);
});

test('a check asks as the location would, with its header lines, and for its own URI', async (t) => {
  const location =
    'proxy_set_header Host health.test; proxy_set_header X-Who "$request_method $uri $arg_deep $remote_addr-";';
  const [, one] = await pair(t, { check: `${FAST} uri=${CHECK_URI}?deep=1`, location });
  await one.checked();
  const request = one.checks[0];
  assert.equal(request?.method, 'GET');
  assert.equal(request?.url, `${CHECK_URI}?deep=1`);
  assert.equal(request?.headers.host, 'health.test');
  assert.equal(request?.headers['x-who'], `GET ${CHECK_URI} 1 -`);
  assert.equal(request?.headers.connection, 'close');
});

test('by default / is asked for, and a redirect is health', async (t) => {
  const [gateway] = await pair(t, { check: FAST });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(
    gateway.lines().filter((line) => line.includes('unhealthy')),
    [],
  );
});

test('an answer that does not come within proxy_read_timeout is a failure, and no check overlaps another', async (t) => {
  const [gateway, one] = await pair(t, { location: 'proxy_read_timeout 50ms;' });
  let open = 0;
  let most = 0;
  one.answer = (_, request) => {
    most = Math.max(most, ++open);
    request.socket.on('close', () => open--);
  };
  const where = 'while reading response header from upstream, health check ""';
  await logged(gateway, `upstream timed out (110: Connection timed out) ${where}`);
  await logged(gateway, `peer is unhealthy ${where}`);
  await one.checked(3);
  assert.equal(most, 1);
});

test('another port can be checked than the one that serves', async (t) => {
  const one = await startCheckedPeer(t, 'one');
  const health = await startCheckedPeer(t, 'health');
  const gateway = await start(t, [one.port], { check: `${FAST} uri=${CHECK_URI} port=${health.port}` });
  await health.checked(2);
  assert.equal(one.checks.length, 0);
  health.answer = BROKEN;
  await logged(gateway, `of peer 127.0.0.1:${one.port} in upstream "app", port ${health.port}`);
  await until('a 502', async () => (await ask(gateway.port(), 'GET /')).status === 502);
});

test('connections are kept for checks within keepalive_time, and made anew when the server has closed one', async (t) => {
  const [gateway, one] = await pair(t, { check: `${FAST} uri=${CHECK_URI} keepalive_time=1h` });
  await one.checked(5);
  assert.equal(one.connections, 1);
  one.answer = (response) => {
    response.end('fine');
    response.socket?.destroySoon();
  };
  await one.checked(3);
  assert.deepEqual(
    gateway.lines().filter((line) => line.includes('unhealthy')),
    [],
  );
});

test('an answer of which only the head is looked at is still taken to its end', async (t) => {
  const [gateway, one] = await pair(t);
  let cut = 0;
  let whole = 0;
  one.answer = (response) => {
    response.on('close', () => (response.writableFinished ? whole++ : cut++));
    response.write('begun');
    setTimeout(() => response.end(Buffer.alloc(100_000)), 30);
  };
  await until('some of them', () => whole >= 3);
  assert.equal(cut, 0);
  gateway.stop();
});

test('an answer without an end is health, and is given up', async (t) => {
  const [gateway, one] = await pair(t);
  let closed = 0;
  one.answer = (response) => {
    response.on('close', () => closed++);
    response.write('events follow');
  };
  await one.checked(3);
  assert.deepEqual(
    gateway.lines().filter((line) => line.includes('unhealthy')),
    [],
  );
  await until('the end of one', () => closed > 0);
});

test('each check has its own connection without it', async (t) => {
  const [, one] = await pair(t);
  await one.checked(3);
  assert.ok(one.connections >= 3);
});

test('over https the server is verified as the location demands', async (t) => {
  const certificate = await selfSignedCertificate();
  const one = await startCheckedPeer(t, 'one', certificate);
  const gateway = await start(t, [one.port], { scheme: 'https' });
  await one.checked(2);
  assert.equal(await whoAnswers(gateway), 'one');
  const other = await selfSignedCertificate({ names: ['other.test'] });
  const trusted = await gatewayFromConfig({
    files: { 'ca.pem': other.cert },
    http: `
      upstream app { zone app 64k; server 127.0.0.1:${one.port}; }
      server {
        listen 127.0.0.1:8080;
        location / {
          proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem; health_check ${FAST};
        }
      }`,
  });
  t.after(() => trusted.stop());
  await logged(trusted, /upstream SSL certificate verify error.* while SSL handshaking to upstream, health check/);
  await logged(trusted, 'peer is unhealthy while SSL handshaking to upstream');
});

test('a mandatory check comes before the first client', async (t) => {
  const one = await startCheckedPeer(t, 'one');
  let pass: (() => void) | undefined;
  one.answer = (response) => {
    pass = () => response.end('fine');
  };
  const gateway = await start(t, [one.port], { check: `${FAST} uri=${CHECK_URI} mandatory` });
  await one.checked();
  assert.equal((await ask(gateway.port(), 'GET /')).status, 502);
  pass?.();
  await logged(gateway, 'peer is healthy');
  assert.equal(await whoAnswers(gateway), 'one');
});

test('addresses that a name is resolved to are checked as they come', async (t) => {
  const records = (...addresses: string[]) => addresses.map((data) => ({ type: 'A' as const, data, ttl: 1 }));
  const dns = await DnsServer.start(t, dnsZone({ 'app.test A': records('127.0.0.2') }));
  const peer = createHttpServer((request, response) => {
    const { localAddress } = request.socket;
    response.statusCode = request.url === CHECK_URI && localAddress === '127.0.0.3' ? 500 : 200;
    response.end(localAddress);
  });
  peer.listen(0, '0.0.0.0');
  await once(peer, 'listening');
  t.after(() => {
    peer.close();
    peer.closeAllConnections();
  });
  const { port } = peer.address() as AddressInfo;
  const gateway = await gatewayFromConfig({
    http: `
      upstream app { zone app 64k; server app.test:${port} resolve; resolver ${dns.address} ipv6=off; }
      server {
        listen 127.0.0.1:8080;
        location / { proxy_pass http://app; health_check ${FAST} uri=${CHECK_URI} mandatory; }
      }`,
  });
  t.after(() => gateway.stop());
  await logged(gateway, `peer is healthy while checking status code, health check "" of peer 127.0.0.2:${port}`);
  dns.behaviour = dnsZone({ 'app.test A': records('127.0.0.2', '127.0.0.3', '127.0.0.4') });
  await logged(gateway, `peer is unhealthy while checking status code, health check "" of peer 127.0.0.3:${port}`);
  await logged(gateway, `peer is healthy while checking status code, health check "" of peer 127.0.0.4:${port}`);
  assert.deepEqual(new Set(await answersOf(gateway, 6)), new Set(['127.0.0.2', '127.0.0.4']));
});

test('a tunnel goes on when its server becomes unhealthy, and new ones go elsewhere', async (t) => {
  const sockets: Socket[] = [];
  const upgrade = (socket: Socket): void => {
    sockets.push(socket);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  };
  const peer = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      if (!bytes.includes(CHECK_URI)) upgrade(socket);
      else socket.end(`HTTP/1.1 ${healthy ? 200 : 503} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  });
  let healthy = true;
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  t.after(() => {
    peer.close();
    for (const socket of sockets) socket.destroy();
  });
  const location = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';
  const gateway = await start(t, [(peer.address() as AddressInfo).port], { location });
  const client = connect(gateway.port(), '127.0.0.1');
  t.after(() => client.destroy());
  client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  assert.match(String((await once(client, 'data'))[0]), / 101 /);
  healthy = false;
  await logged(gateway, 'peer is unhealthy');
  client.write('still here');
  assert.equal(String((await once(client, 'data'))[0]), 'still here');
  assert.equal((await ask(gateway.port(), 'GET /')).status, 502);
});

describe('match', () => {
  const cases: readonly (readonly [tests: string, fits: boolean])[] = [
    ['status 200;', true],
    ['status 204 200;', true],
    ['status 204;', false],
    ['status 100-299;', true],
    ['status ! 500;', true],
    ['status ! 200-299 500;', false],
    ['status 200; status ! 200;', false],
    ['header X-App;', true],
    ['header X-None;', false],
    ['header ! X-None;', true],
    ['header ! X-App;', false],
    ['header x-app = "ready now";', true],
    ['header X-App = ready;', false],
    ['header X-App != ready;', true],
    ['header X-None != ready;', false],
    ['header X-App ~ ^ready;', true],
    ['header X-App ~ ^READY;', false],
    ['header X-App ~* ^READY;', true],
    ['header X-App !~ ^now;', true],
    ['header X-App !~ now$;', false],
    ['body ~ "all.* well";', true],
    ['body ~ "ill";', false],
    ['body !~ "maintenance";', true],
    ['body !~ "well";', false],
    ['status 200; header X-App; body ~ well;', true],
    ['status 200; header X-App; body ~ ill;', false],
    ['require $good;', true],
    ['require $good $upstream_http_x_app;', true],
    ['require $good $upstream_http_x_none;', false],
    ['require $zero;', false],
  ];
  for (const [tests, fits] of cases) {
    test(`${tests} ${fits ? 'is fulfilled' : 'is not fulfilled'}`, async (t) => {
      const one = await startCheckedPeer(t, 'one');
      one.answer = (response) => {
        response.setHeader('X-App', 'ready now');
        response.end('all is well');
      };
      const gateway = await start(t, [one.port], {
        check: `${FAST} uri=${CHECK_URI} match=good mandatory`,
        http: `match good { ${tests} } map $upstream_status $good { 200 1; } map $upstream_status $zero { 200 0; }`,
      });
      const line = await logged(gateway, /peer is (un)?healthy/);
      assert.equal(line.includes('peer is healthy'), fits, line);
      assert.match(line, /health check "good"/);
    });
  }

  test('a body is looked at up to 256 KB, and the check ends there', async (t) => {
    const one = await startCheckedPeer(t, 'one');
    one.answer = (response) => {
      response.on('error', () => {});
      response.write(Buffer.alloc(256 * 1024, 'a'));
      response.write('behind');
    };
    const http = 'match good { body ~ ^a+$; }';
    const gateway = await start(t, [one.port], { check: `${FAST} uri=${CHECK_URI} match=good mandatory`, http });
    assert.match(await logged(gateway, /peer is (un)?healthy/), /peer is healthy while checking body/);
  });
});

describe('type=tcp', () => {
  async function tcpPeer(t: TestContext, talk: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      talk(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  test('is passed where a connection can be made', async (t) => {
    const port = await tcpPeer(t, () => {});
    const gateway = await start(t, [port], { check: `${FAST} type=tcp mandatory` });
    await logged(gateway, 'peer is healthy while connecting to upstream');
  });

  test('sends, and looks at what comes', async (t) => {
    const port = await tcpPeer(t, (socket) => {
      socket.on('data', (bytes) => {
        for (const part of bytes.toString() === 'PING\r\n' ? ['+PO', 'NG\r\n'] : ['-ERR']) socket.write(part);
      });
    });
    const fulfilled = 'match good { send "PING\\x0d\\x0a"; expect "+PONG"; }';
    const good = await start(t, [port], { check: `${FAST} type=tcp match=good mandatory`, http: fulfilled });
    await logged(good, 'peer is healthy while checking data');
    const other = 'match good { send "HELLO\\x0d\\x0a"; expect ~ PONG; }';
    const location = 'proxy_read_timeout 100ms;';
    const bad = await start(t, [port], { check: `${FAST} type=tcp match=good mandatory`, http: other, location });
    await logged(bad, 'peer is unhealthy while reading upstream');
  });

  test('what is sent arrives where nothing is expected', async (t) => {
    let said = '';
    const port = await tcpPeer(t, (socket) => {
      socket.on('data', (bytes) => {
        said += bytes;
      });
    });
    await start(t, [port], { check: `${FAST} type=tcp match=hello`, http: 'match hello { send "hello"; }' });
    await until('the greeting', () => said.startsWith('hello'));
  });
});

describe('what is refused', () => {
  const location = (text: string, http = ''): string => `
    ${http}
    upstream app { server 127.0.0.1:1; }
    server { listen 127.0.0.1:8080; location / { ${text} } }`;
  const cases: Readonly<Record<string, readonly [string, RegExp]>> = {
    'a location that passes nothing on': ['health_check;', /"health_check" requires "proxy_pass" in the same location/],
    'a server that is no upstream': [
      'proxy_pass http://127.0.0.1:1; health_check;',
      /"health_check" requires "proxy_pass" to an upstream by its name/,
    ],
    'a name made of variables': [
      'proxy_pass http://$host; health_check;',
      /"health_check" requires "proxy_pass" to an upstream by its name|no resolver/,
    ],
    'a match that is not there': ['proxy_pass http://app; health_check match=x;', /match "x" is not defined/],
    'persistent alone': ['proxy_pass http://app; health_check persistent;', /"persistent" requires "mandatory"/],
    'a type that is none': ['proxy_pass http://app; health_check type=udp;', /invalid parameter "type=udp"/],
    'no interval': ['proxy_pass http://app; health_check interval=0;', /invalid parameter "interval=0"/],
    'no failures': ['proxy_pass http://app; health_check fails=0;', /invalid parameter "fails=0"/],
    'a URI that is none': ['proxy_pass http://app; health_check uri=health;', /invalid uri "health"/],
    'a URI over TCP': ['proxy_pass http://app; health_check type=tcp uri=/;', /"uri" has no use with "type=tcp"/],
  };
  for (const [what, [text, message]] of Object.entries(cases))
    test(what, async () => assert.rejects(gatewayFromConfig({ http: location(text) }), message));

  const matches: Readonly<Record<string, RegExp>> = {
    'status;': /invalid number of arguments in "status" directive/,
    'status 99;': /invalid status "99"/,
    'status 300-200;': /invalid status "300-200"/,
    'header;': /invalid number of arguments in "header" directive/,
    'header ! X = 1;': /invalid number of arguments in "header" directive/,
    'header X + 1;': /invalid operator "\+"/,
    'header "X Y";': /"X Y" is not the name of a header field/,
    'body ~;': /invalid number of arguments in "body" directive/,
    'body ~ "(";': /pcre2_compile\(\) failed/,
    'body = x;': /invalid operator "="/,
    'require x;': /invalid variable name "x"/,
    'require $nowhere;': /unknown "nowhere" variable/,
    'expect;': /invalid number of arguments in "expect" directive/,
    'send a; send b;': /"send" directive is duplicate/,
    'stauts 200;': /unknown directive "stauts"/,
    'send a;': /"send" of match "m" has no use with "type=http"/,
  };
  for (const [line, message] of Object.entries(matches)) {
    test(`in a match: ${line}`, async () => {
      const http = location('proxy_pass http://app; health_check match=m;', `match m { ${line} }`);
      await assert.rejects(gatewayFromConfig({ http }), message);
    });
  }

  test('two matches of one name', async () => {
    const http = location('return 200;', 'match m { status 200; } match m { status 200; }');
    await assert.rejects(gatewayFromConfig({ http }), /duplicate match "m"/);
  });

  test('more checks than an upstream can have', async () => {
    const locations = Array.from({ length: 9 }, (_, i) => `location /${i} { proxy_pass http://app; health_check; }`);
    const http = `upstream app { server 127.0.0.1:1; } server { listen 127.0.0.1:8080; ${locations.join(' ')} }`;
    await assert.rejects(gatewayFromConfig({ http }), /more than 8 health checks of upstream "app"/);
  });

  test('slow_start with a method that does not count', async () => {
    const http = 'upstream app { ip_hash; server 127.0.0.1:1 slow_start=30s; }';
    await assert.rejects(gatewayFromConfig({ http }), /balancing method does not support parameter "slow_start=30s"/);
  });
});

// error_log and access_log to syslog, by UDP. https://nginx.org/en/docs/syslog.html

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

interface Daemon {
  readonly port: number;
  readonly messages: string[];
}

async function startDaemon(t: TestContext, address = '127.0.0.1'): Promise<Daemon> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const messages: string[] = [];
  socket.on('message', (bytes) => messages.push(bytes.toString('latin1')));
  socket.bind(0, address);
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { port: socket.address().port, messages };
}

async function start(t: TestContext, http: string, main?: string) {
  const gateway = await gatewayFromConfig({ http, ...(main === undefined ? {} : { main }) });
  t.after(() => gateway.stop());
  return gateway;
}

const TIME = '[A-Z][a-z]{2} [ 1-3]\\d \\d\\d:\\d\\d:\\d\\d';
const host = hostname().toLowerCase();

test('a line of an access log is one message: local7.info, the host, nginx’s tag', async (t) => {
  const daemon = await startDaemon(t);
  const gateway = await start(
    t,
    `log_format short '$request_uri é';
     server { listen 127.0.0.1:8080; access_log syslog:server=127.0.0.1:${daemon.port} short; location / { return 200 x; } }`,
  );
  await ask(gateway.port(), 'GET /one');
  await ask(gateway.port(), 'GET /two');
  await until('both lines', () => daemon.messages.length === 2);
  assert.match(daemon.messages[0] ?? '', new RegExp(`^<190>${TIME} ${host} nginx: /one Ã©$`));
  assert.match(daemon.messages[1] ?? '', / nginx: \/two /);
});

test('facility, severity, tag and nohostname are as they are given; a condition and several logs hold as for files', async (t) => {
  const daemon = await startDaemon(t);
  const to = `server=127.0.0.1:${daemon.port}`;
  const gateway = await start(
    t,
    `log_format short '$request_uri';
     server {
       listen 127.0.0.1:8080;
       access_log syslog:${to},facility=user,severity=crit,tag=my_tag,nohostname short;
       access_log syslog:tag=second,${to} short if=$arg_second;
       access_log logs/file.log short;
       location / { return 200 x; }
     }`,
  );
  await ask(gateway.port(), 'GET /a');
  await ask(gateway.port(), 'GET /b?second=1');
  await until('three lines', () => daemon.messages.length === 3);
  assert.match(daemon.messages[0] ?? '', new RegExp(`^<10>${TIME} my_tag: /a$`));
  assert.match(daemon.messages[1] ?? '', new RegExp(`^<10>${TIME} my_tag: /b\\?second=1$`));
  assert.match(daemon.messages[2] ?? '', new RegExp(`^<190>${TIME} ${host} second: /b\\?second=1$`));
  assert.deepEqual(gateway.lines('logs/file.log'), ['/a', '/b?second=1']);
});

test('a line of an error log has its own severity, whatever severity= says, on every level of the configuration', async (t) => {
  const [everything, outer, inner] = [await startDaemon(t), await startDaemon(t), await startDaemon(t)];
  const gateway = await start(
    t,
    `error_log syslog:server=127.0.0.1:${outer.port},severity=debug;
     server {
       listen 127.0.0.1:8080;
       root html;
       location /inner/ { error_log syslog:server=127.0.0.1:${inner.port},nohostname,facility=kern; error_log logs/inner.log; }
     }`,
    `error_log syslog:server=127.0.0.1:${everything.port} debug;`,
  );
  await ask(gateway.port(), 'GET /missing');
  await ask(gateway.port(), 'GET /inner/missing');
  await until('a line each', () => outer.messages.length === 1 && inner.messages.length === 1);
  const line =
    '\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d \\[error\\] \\d+#\\d+: \\*\\d+ open\\(\\) "[^"]*missing" failed';
  assert.match(outer.messages[0] ?? '', new RegExp(`^<187>${TIME} ${host} nginx: ${line}`));
  assert.match(inner.messages[0] ?? '', new RegExp(`^<3>${TIME} nginx: ${line}`));
  assert.match(gateway.lines('logs/inner.log').join('\n'), new RegExp(`^${line}`));
  assert.equal(everything.messages.filter((message) => message.includes('missing')).length, 0);
});

test('where nobody listens, lines are lost and requests are not', async (t) => {
  const daemon = createSocket('udp4');
  daemon.bind(0, '127.0.0.1');
  await once(daemon, 'listening');
  const { port } = daemon.address();
  daemon.close();
  const gateway = await start(
    t,
    `server { listen 127.0.0.1:8080; access_log syslog:server=127.0.0.1:${port}; location / { return 200 x; } }`,
  );
  for (let i = 0; i < 20; i++) assert.equal((await ask(gateway.port(), 'GET /')).status, 200);
});

test('the server may be a name; one that is no address is refused', async (t) => {
  const daemon = await startDaemon(t);
  const gateway = await start(
    t,
    `server { listen 127.0.0.1:8080; access_log syslog:server=localhost:${daemon.port}; location / { return 200 x; } }`,
  );
  await ask(gateway.port(), 'GET /named');
  await until('the line', () => daemon.messages.length === 1);
  await assert.rejects(start(t, 'access_log syslog:server=[::1; server { listen 127.0.0.1:8080; }'), /invalid host/);
});

test('a socket of the file system is refused, with what to do instead', async (t) => {
  const conf = 'server { listen 127.0.0.1:8080; access_log syslog:server=unix:/dev/log; }';
  await assert.rejects(start(t, conf), /Node has no datagram sockets of that kind/);
});

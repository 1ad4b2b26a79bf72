// The TypeScript API: a gateway in this very process, from a file or from text; reloaded, ended gently and at once.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EchoPeer } from '../examples/echo-peer.ts';
import { GatewayError, type GatewayOptions, type RunningGateway, startGateway, VERSION } from '../src/index.ts';
import { freePort, freePorts } from './support/free-port.ts';
import { TalkingClient } from './support/talking-client.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { until } from './support/until.ts';

const DESCRIPTORS = '/proc/self/fd';

/** @param server what stands in `server`, behind its `listen` */
function conf(port: number, server: string, rest = ''): string {
  return `error_log error.log debug;
events {}
http {
    access_log access.log;
    server { listen 127.0.0.1:${port}; ${server} }
    ${rest}
}
`;
}

/** The kind of GatewayError, and its sentence. */
async function errorOf(starting: Promise<unknown>): Promise<GatewayError> {
  try {
    await starting;
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    return error;
  }
  throw new Error('it has started');
}

async function start(t: TestContext, options: GatewayOptions): Promise<RunningGateway> {
  const gateway = await startGateway(options);
  t.after(() => gateway.stop());
  return gateway;
}

/** A gateway to an echo peer, its folder, and a client of it. */
async function startTunnel(t: TestContext, globals = '') {
  const peer = await EchoPeer.start({ name: 'peer', port: 0 });
  t.after(() => peer.close());
  const port = await freePort();
  const headers = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';
  const pass = `location / { proxy_pass http://127.0.0.1:${peer.port}; ${headers} }`;
  const prefix = temporaryFolder(t, {});
  const gateway = await start(t, { prefix, globals, configText: conf(port, pass) });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  assert.equal(await client.ask('hello'), 'peer: hello');
  return { gateway, client, port, pass, prefix };
}

test('a gateway is started from a file, whose folder is the prefix', async (t) => {
  const port = await freePort();
  const folder = temporaryFolder(t, { 'gate.conf': conf(port, 'root html;'), 'html/index.html': 'here' });
  const gateway = await start(t, { configFile: join(folder, 'gate.conf') });
  assert.deepEqual(gateway.addresses, [{ text: `127.0.0.1:${port}`, tls: false, host: '127.0.0.1', port }]);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'here');
  assert.match(VERSION, /^\d+\.\d+\.\d+/);
});

test('a gateway is started from text, which may include files of the folder', async (t) => {
  const port = await freePort();
  const prefix = temporaryFolder(t, { 'servers/one.conf': `server { listen 127.0.0.1:${port}; return 200 one; }` });
  const configText = 'events {} http { access_log off; include servers/*.conf; }';
  await start(t, { prefix, configText });
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'one');
  assert.equal(existsSync(join(prefix, 'nginx.conf')), false);
});

test('it leaves signals, the pid file and the rights of the process alone', async (t) => {
  const before = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1'].map((name) => process.listenerCount(name));
  const [user, title] = [process.geteuid?.(), process.title];
  const port = await freePort();
  const prefix = temporaryFolder(t, { 'logs/': '' });
  await start(t, { prefix, globals: 'user nobody; worker_processes 4;', configText: conf(port, 'return 204;') });
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 204);
  const after = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1'].map((name) => process.listenerCount(name));
  assert.deepEqual(after, before);
  assert.deepEqual([process.geteuid?.(), process.title], [user, title]);
  assert.equal(existsSync(join(prefix, 'logs/nginx.pid')), false);
});

test('mistakes of the configuration are told all at once, each with its place', async (t) => {
  const prefix = temporaryFolder(t, {});
  const error = await errorOf(startGateway({ prefix, configText: 'events {}\nhttp {\n    sever {}\n    root;\n}\n' }));
  assert.equal(error.code, 'ERR_CONFIGURATION');
  const file = join(prefix, 'nginx.conf');
  assert.deepEqual(error.problems, [
    { level: 'emerg', message: `unknown directive "sever" in ${file}:3`, file, line: 3, column: 5 },
    {
      level: 'emerg',
      message: `invalid number of arguments in "root" directive in ${file}:4`,
      file,
      line: 4,
      column: 5,
    },
  ]);
  assert.match(error.message, /sever.*did you mean "server"\?/s);
});

test('a file that is not there is a mistake of the configuration', async (t) => {
  const error = await errorOf(startGateway({ prefix: temporaryFolder(t, {}) }));
  assert.equal(error.code, 'ERR_CONFIGURATION');
  assert.match(error.message, /nginx\.conf" failed \(2: No such file or directory\)/);
});

test('an address that another gateway has is refused, with nginx’s words', async (t) => {
  const port = await freePort();
  const options = { prefix: temporaryFolder(t, {}), configText: conf(port, 'return 204;') };
  await start(t, options);
  const error = await errorOf(startGateway(options));
  assert.equal(error.code, 'ERR_LISTEN');
  assert.match(error.message, new RegExp(`^bind\\(\\) to 127.0.0.1:${port} failed \\(98: Address already in use\\)`));
});

test('a log file that cannot be opened is named', async (t) => {
  const prefix = temporaryFolder(t, { 'error.log/': '' });
  const error = await errorOf(startGateway({ prefix, configText: conf(await freePort(), 'return 204;') }));
  assert.equal(error.code, 'ERR_LOG_FILE');
  assert.equal(error.message, `open() "${join(prefix, 'error.log')}" failed (21: Is a directory)`);
});

test('a reload reads the file again, and open tunnels go on', async (t) => {
  const { gateway, client, port, pass } = await startTunnel(t);
  const other = await freePort();
  const text = conf(port, pass, `server { listen 127.0.0.1:${other}; return 200 new; }`);
  assert.deepEqual(await gateway.reload(text), []);
  assert.deepEqual(
    gateway.addresses.map(({ text }) => text),
    [`127.0.0.1:${port}`, `127.0.0.1:${other}`],
  );
  assert.equal(await (await fetch(`http://127.0.0.1:${other}/`)).text(), 'new');
  assert.equal(await client.ask('still there?'), 'peer: still there?');
});

test('a reload of a file takes what the file says by then', async (t) => {
  const port = await freePort();
  const prefix = temporaryFolder(t, { 'nginx.conf': conf(port, 'return 200 old;') });
  const gateway = await start(t, { prefix });
  writeFileSync(join(prefix, 'nginx.conf'), conf(port, 'return 200 new;'));
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'old');
  await Promise.all([gateway.reload(), gateway.reload()]);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'new');
});

test('a reload that fails says why, and the old configuration goes on', async (t) => {
  const [port, taken] = (await freePorts(2)) as [number, number];
  const prefix = temporaryFolder(t, { 'nginx.conf': conf(port, 'return 200 old;') });
  const gateway = await start(t, { prefix });
  await start(t, { prefix, configText: conf(taken, 'return 204;') });
  const wrongs = { 'serve {}': 'ERR_CONFIGURATION', [conf(taken, 'return 200 new;')]: 'ERR_LISTEN' };
  for (const [wrong, code] of Object.entries(wrongs)) {
    writeFileSync(join(prefix, 'nginx.conf'), wrong);
    assert.equal((await errorOf(gateway.reload())).code, code);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'old');
    assert.deepEqual(
      gateway.addresses.map((address) => address.port),
      [port],
    );
  }
});

test('warnings of a reload are returned, and stand in the log', async (t) => {
  const port = await freePort();
  const prefix = temporaryFolder(t, { 'nginx.conf': conf(port, 'return 204;') });
  const gateway = await start(t, { prefix });
  writeFileSync(join(prefix, 'nginx.conf'), conf(port, 'return 204; http2 on;'));
  const [warning, ...more] = await gateway.reload();
  assert.deepEqual([warning?.level, warning?.line, more.length], ['warn', 5, 0]);
  await until('the warning', () => readFileSync(join(prefix, 'error.log'), 'utf8').includes(`[warn]`));
});

test('quit takes no new connections, and asks tunnels to go', async (t) => {
  const { gateway, client, port, prefix } = await startTunnel(t);
  const quitting = gateway.quit();
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  assert.deepEqual(await client.closed, { code: 1012, reason: '' });
  await quitting;
  assert.match(readFileSync(join(prefix, 'access.log'), 'utf8'), /"GET \/ HTTP\/1\.1" 101 /);
});

test('quit closes tunnels after its timeout, which the configuration may name', async (t) => {
  const given = await startTunnel(t);
  given.client.socket.pause(); // it does not answer what it is asked
  await given.gateway.quit(20);
  given.client.socket.resume();
  assert.match(`${(await given.client.closed).code}`, /^10(01|06|12)$/);
  const named = await startTunnel(t, 'worker_shutdown_timeout 20ms;');
  named.client.socket.pause();
  await named.gateway.quit();
  named.client.socket.resume();
  assert.match(`${(await named.client.closed).code}`, /^10(01|06|12)$/);
});

test('stop ends everything, also what quit waits for', async (t) => {
  const { gateway, client, port } = await startTunnel(t);
  const quitting = gateway.quit();
  await gateway.stop();
  await quitting;
  assert.equal((await client.closed).code, 1006);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  await gateway.stop();
});

test('a reload after the end is refused', async (t) => {
  const { gateway } = await startTunnel(t);
  await gateway.stop();
  await assert.rejects(gateway.reload(), /the gateway is about to end/);
});

test('a unix socket is removed at the end, and when a reload no longer has it', async (t) => {
  const prefix = temporaryFolder(t, {});
  const [one, other] = [join(prefix, 'one.sock'), join(prefix, 'other.sock')];
  const text = (path: string): string =>
    `events {} http { access_log off; server { listen unix:${path}; return 204; } }`;
  const gateway = await start(t, { prefix, configText: text(one) });
  assert.deepEqual(gateway.addresses, [{ text: `unix:${one}`, tls: false, host: undefined, port: undefined }]);
  assert.equal(existsSync(one), true);
  await gateway.reload(text(other));
  assert.deepEqual([existsSync(one), existsSync(other)], [false, true]);
  await gateway.stop();
  assert.deepEqual(readdirSync(prefix), []);
});

test('nothing stays open: no descriptor, no timer that keeps the process', async (t) => {
  if (!existsSync(DESCRIPTORS)) return t.skip(`there is no ${DESCRIPTORS}`);
  const count = (): number => readdirSync(DESCRIPTORS).length;
  const [first = 0, ...others] = await freePorts(6);
  const again = async (port: number): Promise<void> => {
    const gateway = await startGateway({ prefix: temporaryFolder(t, {}), configText: conf(port, 'return 204;') });
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
    await answer.text();
    await gateway.quit(20);
  };
  await again(first);
  const before = count();
  for (const port of others) await again(port);
  await until('as many descriptors as before', () => count() <= before);
});

test('the package exports the same from its built files', async (t) => {
  const built = new URL('../dist/index.js', import.meta.url);
  if (!existsSync(built)) return t.skip('dist/ is not built: npm run build');
  const [source, package_] = [await import('../src/index.ts'), (await import(built.href)) as object];
  assert.deepEqual(Object.keys(package_).sort(), Object.keys(source).sort());
  assert.match(readFileSync(new URL('../dist/index.d.ts', import.meta.url), 'utf8'), /startGateway/);
});

// The command as a whole: what it prints, its exit codes, its files. With real configurations in a real process.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { allModules } from '../../src/directives/all-modules.ts';
import { freePort } from '../support/free-port.ts';
import { Sockgate, startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

const serving = (port: number, answer = 'hello'): string =>
  `events {} http { access_log off; server { listen 127.0.0.1:${port}; location / { return 200 "${answer}"; } } }`;

const get = async (port: number): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();

test('-v says our version and the nginx whose language we follow', async (t) => {
  const { code, stdout, stderr } = await new Sockgate(t, { conf: '' }).run('-v');
  assert.deepEqual([code, stdout], [0, '']);
  assert.match(stderr, /^sockgate version: sockgate\/\d+\.\d+\.\d+\nnginx version: nginx\/1\.31\.5\n$/);
});

test('-V says what is in it, as programs read it from nginx', async (t) => {
  const { code, stderr } = await new Sockgate(t, { conf: '' }).run('-V');
  assert.equal(code, 0);
  assert.match(stderr, /^built with OpenSSL \d+\.\d+\.\d+$/m);
  assert.match(stderr, /^TLS SNI support enabled$/m);
  const args = /^configure arguments: (.*)$/m.exec(stderr)?.[1]?.split(' ') ?? [];
  assert.ok(args.includes('--with-http_ssl_module'));
  assert.ok(args.includes('--without-http_fastcgi_module'));
  assert.ok(!args.includes('--without-http_proxy_module'));
  const hasGzip = allModules.some(
    ({ directives }) => directives['gzip'] !== undefined && directives['gzip'].effect === undefined,
  );
  assert.equal(args.includes('--without-http_gzip_module'), !hasGzip);
});

test('-h and -? teach', async (t) => {
  const gate = new Sockgate(t, { conf: '' });
  for (const option of ['-h', '-?']) {
    const { code, stderr } = await gate.run(option);
    assert.equal(code, 0);
    assert.match(stderr, /Usage: sockgate .*-s signal .*Examples:/s);
  }
});

test('an unknown option is refused', async (t) => {
  const { code, stderr } = await new Sockgate(t, { conf: '' }).run('-z');
  assert.deepEqual([code, stderr], [1, 'sockgate: invalid option: "z"\n']);
});

test('-t says in two lines that a configuration is good, and leaves no pid file', async (t) => {
  const gate = new Sockgate(t, { conf: serving(await freePort()) });
  const file = join(gate.prefix, 'nginx.conf');
  const { code, stderr } = await gate.run('-t');
  assert.equal(
    stderr,
    `sockgate: the configuration file ${file} syntax is ok\nsockgate: configuration file ${file} test is successful\n`,
  );
  assert.equal(code, 0);
  assert.equal(gate.has('logs/nginx.pid'), false);
  assert.deepEqual(await gate.run('-tq'), { code: 0, stdout: '', stderr: '' });
});

test('-t says what is wrong, in nginx’s words with its place, on stderr and in the error log', async (t) => {
  const gate = new Sockgate(t, { conf: 'events {}\nhttp { nonsense on; }\n' });
  const file = join(gate.prefix, 'nginx.conf');
  const { code, stderr } = await gate.run('-tq');
  assert.equal(code, 1);
  const [first, ...more] = stderr.trimEnd().split('\n');
  assert.equal(first, `sockgate: [emerg] unknown directive "nonsense" in ${file}:5`);
  assert.equal(more.at(-1), `sockgate: configuration file ${file} test failed`);
  assert.match(gate.errorLog(), new RegExp(`\\[emerg\\] \\d+#\\d+: unknown directive "nonsense" in ${file}:5\n$`));
});

test('a bad configuration does not start', async (t) => {
  const gate = new Sockgate(t, { conf: 'events {}\nhttp { nonsense on; }\n' });
  const { code, stderr } = await gate.run();
  assert.equal(code, 1);
  assert.match(stderr, /^sockgate: \[emerg\] unknown directive "nonsense"/);
});

test('-t is not troubled by the running gateway’s ports, but by a port that it may not have', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  assert.equal((await new Sockgate(t, { conf: serving(port) }).run('-t')).code, 0);
  const gate = new Sockgate(t, { conf: serving(port).replace('127.0.0.1', '192.0.2.1') });
  const { code, stderr } = await gate.run('-t');
  assert.equal(code, 1);
  assert.match(stderr, /\[emerg\] bind\(\) to 192\.0\.2\.1:\d+ failed \(99: Cannot assign requested address\)\n/);
});

test('-T prints every file once, as it stands on the disk', async (t) => {
  const conf = `include inc.conf;\ninclude inc.conf;\n${serving(await freePort())}`;
  const gate = new Sockgate(t, { conf, bare: true, files: { 'inc.conf': '# ä “q”\n' } });
  const { code, stdout, stderr } = await gate.run('-T');
  const [main, inc] = ['nginx.conf', 'inc.conf'].map((name) => join(gate.prefix, name));
  assert.equal(stdout, `# configuration file ${main}:\n${conf}\n# configuration file ${inc}:\n# ä “q”\n\n`);
  assert.match(stderr, /test is successful\n$/);
  assert.equal(code, 0);
});

test('a configuration file that is not there is named', async (t) => {
  const gate = new Sockgate(t, { conf: '' });
  unlinkSync(join(gate.prefix, 'nginx.conf'));
  const { code, stderr } = await gate.run();
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`\\[emerg\\] open\\(\\) "${gate.prefix}/conf/nginx.conf" failed \\(2: No such file or directory\\)`),
  );
  assert.match(stderr, /^sockgate: neither "conf\/nginx\.conf" nor "nginx\.conf" is in .* -c/m);
});

test('an error log that cannot be opened is an alert, and the command goes on', async (t) => {
  const gate = new Sockgate(t, { conf: serving(await freePort()) });
  const { code, stderr } = await gate.run('-t', '-e', 'no/such/error.log');
  assert.match(
    stderr,
    /^sockgate: \[alert\] could not open error log file: open\(\) ".*no\/such\/error\.log" failed \(2: /,
  );
  assert.equal(code, 0);
});

test('a gateway is started, reloaded, reopened and stopped by -s', async (t) => {
  const port = await freePort();
  const gate = await startSockgate(t, { conf: serving(port) });
  assert.equal(await get(port), 'hello');
  gate.configure(serving(port, 'changed'));
  assert.deepEqual(await gate.run('-s', 'reload'), { code: 0, stdout: '', stderr: '' });
  await gate.logged(/exited with code 0/);
  assert.equal(await get(port), 'changed');
  assert.match(
    gate.errorLog(),
    /\[notice\] \d+#\d+: signal process started\n.*signal 1 \(SIGHUP\) received, reconfiguring\n/s,
  );
  unlinkSync(join(gate.prefix, 'logs/error.log'));
  assert.equal((await gate.run('-s', 'reopen')).code, 0);
  await until('a new error log', () => existsSync(join(gate.prefix, 'logs/error.log')));
  assert.equal((await gate.run('-s', 'quit')).code, 0);
  assert.deepEqual(await gate.exited(), { code: 0, signal: null });
});

test('-s says why it cannot reach anybody', async (t) => {
  const gate = new Sockgate(t, { conf: '', files: { 'bad.pid': 'soon\n', 'gone.pid': '4194304\n' } });
  const quit = async (pidFile: string) => {
    gate.configure('events {}', `daemon off; error_log logs/error.log; pid ${pidFile};`);
    const { code, stderr } = await gate.run('-s', 'quit');
    return [code, stderr.replaceAll(gate.prefix, '')];
  };
  assert.deepEqual(await quit('no.pid'), [
    1,
    'sockgate: [error] open() "/no.pid" failed (2: No such file or directory)\n',
  ]);
  assert.deepEqual(await quit('bad.pid'), [1, 'sockgate: [error] invalid PID number "soon" in "/bad.pid"\n']);
  assert.deepEqual(await quit('gone.pid'), [1, 'sockgate: [alert] kill(4194304, 3) failed (3: No such process)\n']);
});

test('with daemon on the command returns when the gateway listens, and the gateway goes on', async (t) => {
  const port = await freePort();
  const conf = `pid logs/nginx.pid; error_log logs/error.log notice; load_module x.so; ${serving(port)}`;
  const gate = new Sockgate(t, { conf, bare: true });
  const { code, stdout, stderr } = await gate.run();
  assert.deepEqual([code, stdout], [0, '']);
  assert.match(stderr, /^sockgate: \[notice\] "load_module x\.so" has nothing to load/);
  assert.equal(stderr.match(/\[notice\]/g)?.length, 1, 'said by one of the two processes');
  assert.equal(gate.count(/has nothing to load/g), 1);
  assert.equal(await get(port), 'hello');
  assert.ok(gate.pid > 0);
  const { pid } = gate;
  gate.signal('SIGQUIT');
  await until('the end of the daemon', () => !gate.has('logs/nginx.pid') && !existsSync(`/proc/${pid}`));
  assert.doesNotMatch(gate.errorLog(), /\[(alert|emerg)\]/);
});

test('with daemon on an error log of -e that cannot be opened is told once', async (t) => {
  const conf = `pid logs/nginx.pid; error_log logs/error.log notice; ${serving(await freePort())}`;
  const gate = new Sockgate(t, { conf, bare: true });
  const { code, stderr } = await gate.run('-e', 'no/such/error.log');
  const { pid } = gate;
  gate.signal('SIGQUIT');
  await until('the end of the daemon', () => !existsSync(`/proc/${pid}`));
  assert.equal(code, 0);
  assert.equal(stderr.match(/could not open error log file/g)?.length, 1, stderr);
});

test('with daemon on what goes wrong is told to who started it', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  const conf = `pid logs/nginx.pid; error_log logs/error.log notice; ${serving(port)}`;
  const { code, stdout, stderr } = await new Sockgate(t, { conf, bare: true }).run();
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(
    stderr,
    /sockgate: \[emerg\] bind\(\) to 127\.0\.0\.1:\d+ failed \(98: Address already in use\)\n.*still could not bind\(\)\n$/s,
  );
});

test('-g comes before the file', async (t) => {
  const gate = new Sockgate(t, {
    conf: `error_log logs/error.log; ${serving(await freePort())}`,
    bare: true,
    args: ['-g', 'daemon off; pid logs/nginx.pid;'],
  });
  await gate.start();
  assert.deepEqual(await gate.stop(), { code: 0, signal: null });
});

test('a configuration that only root may read is named where we are not root', {
  skip: process.geteuid?.() === 0 && 'root reads everything',
}, async (t) => {
  const gate = new Sockgate(t, { conf: serving(await freePort()) });
  chmodSync(join(gate.prefix, 'nginx.conf'), 0);
  assert.match((await gate.run('-t')).stderr, /failed \(13: Permission denied\)/);
});

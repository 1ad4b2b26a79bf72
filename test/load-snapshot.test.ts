// From a file to a snapshot: all mistakes in one run, none that only follows from another, and what stands in a snapshot.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { BundleFiles, DiskFiles, type Files } from '../src/config/files.ts';
import { LogFiles } from '../src/diagnostics/log-files.ts';
import { type LoadedSnapshot, loadSnapshot } from '../src/load-snapshot.ts';
import type { Snapshot } from '../src/snapshot.ts';
import { ZoneDirectory } from '../src/zones/zone-directory.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

interface LoadWish {
  readonly globals?: string;
  readonly files?: Files;
  readonly logFiles?: LogFiles;
}

async function loadFile(
  file: string,
  { globals = '', files = new DiskFiles(), logFiles = new LogFiles() }: LoadWish = {},
) {
  return loadSnapshot({
    configFile: file,
    prefix: '/prefix/',
    globals,
    errorLogPath: '/prefix/logs/error.log',
    files,
    logFiles,
    zones: ZoneDirectory.create(),
    worker: -1,
    secrets: { ticketKeys: Buffer.alloc(48), stickyKey: Buffer.alloc(32) },
  });
}

async function load(t: TestContext, text: string, wish: LoadWish = {}): Promise<LoadedSnapshot> {
  return loadFile(join(temporaryFolder(t, { 'nginx.conf': text }), 'nginx.conf'), wish);
}

/** What is said, without the name of the file. */
async function said(t: TestContext, text: string): Promise<string[]> {
  const { problems } = await load(t, text);
  return problems.headlines.map((line) => line.replace(/ in \/.*\/nginx\.conf:/, ' in '));
}

const inHttp = (text: string): string => `events {}\nhttp {\naccess_log off;\n${text}\n}`;

async function snapshotOf(t: TestContext, text: string, wish: LoadWish = {}): Promise<Snapshot> {
  const { snapshot, problems } = await load(t, text, wish);
  return snapshot ?? assert.fail(problems.toString());
}

/** The disk, and a resolver that knows no name. */
class NoSuchHosts extends DiskFiles {
  readonly #asked = new Set<string>();

  override lookUp(host: string): readonly string[] | undefined {
    if (this.#asked.has(host)) return [];
    this.#asked.add(host);
    return undefined;
  }

  override async lookUpAsked(): Promise<boolean> {
    const first = this.#asked.size > 0 && !this.#told;
    this.#told = true;
    return first;
  }

  #told = false;
}

describe('mistakes', () => {
  test('are told all at once, whether they were seen when the file was checked or when it was built', async (t) => {
    const text = inHttp(`
      upstream a { server 127.0.0.1 weight=x; }
      upstream b { keepalive 5; }
      server {
        listen 127.0.0.1:1 backlog=x;
        location /a { proxy_pass ftp://x; }
        location /b { alias /x; root /y; }
        location /b { return foo; }
        location /c { proxy_set_header X $nobody; }
      }`);
    assert.deepEqual(await said(t, text), [
      '[emerg] invalid parameter "weight=x" in 5',
      '[emerg] no servers are inside upstream in 6',
      '[emerg] invalid backlog "backlog=x" in 8',
      '[emerg] invalid URL prefix in 9',
      '[emerg] "root" directive is duplicate, "alias" directive was specified earlier in 10',
      '[emerg] duplicate location "/b" in 11',
      '[emerg] invalid return code "foo" in 11',
      '[emerg] unknown "nobody" variable in 12',
    ]);
  });

  test('bring no others: a group whose only server was refused is not without servers', async (t) => {
    const text = inHttp('upstream a { server 127.0.0.1:x; }\nserver { location / { proxy_pass http://a; } }');
    assert.deepEqual(await said(t, text), ['[emerg] invalid port in upstream "127.0.0.1:x" in 4']);
  });

  test('bring no others: a variable that a refused line would have defined is not unknown', async (t) => {
    const text = inHttp(`
      map $host $made { ; }
      server { location ~ "(?<named>[" { } location / { return 200 "$made $named $other"; } }`);
    const lines = await said(t, text);
    assert.ok(lines.some((line) => line.includes('unknown "other" variable')));
    assert.ok(!lines.some((line) => /unknown "(made|named)"/.test(line)), lines.join('\n'));
  });

  test('bring no others: a certificate that was refused is not missing', async (t) => {
    const text = inHttp(
      'server {\nlisten 127.0.0.1:1 ssl;\nssl_certificate /nowhere.crt;\nssl_certificate_key /nowhere.key;\n}',
    );
    const lines = await said(t, text);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /cannot load certificate "\/nowhere.crt"/);
  });

  test('bring no others: a server whose listen was refused does not listen on port 80', async (t) => {
    assert.deepEqual(await said(t, inHttp('server { listen x:y; }\nserver { listen 80; listen 0.0.0.0:80; }')), [
      '[emerg] invalid port in "x:y" of the "listen" directive in 4',
      '[emerg] a duplicate listen 0.0.0.0:80 in 5',
    ]);
  });

  test('are told together with the hosts that do not exist', async (t) => {
    const text = inHttp('upstrem a { }\nserver { location / { proxy_pass http://nowhere; } }');
    const { problems } = await load(t, text, { files: new NoSuchHosts() });
    assert.equal(problems.headlines.length, 2);
    assert.match(problems.headlines[0] ?? '', /unknown directive "upstrem"/);
    assert.match(problems.headlines[1] ?? '', /host not found in upstream "nowhere/);
  });
});

describe('host names', () => {
  test('are looked up once, and a worker builds from what the master has found', async (t) => {
    const text = inHttp('server { listen localhost:81; location / { proxy_pass http://localhost:82; } }');
    const file = join(temporaryFolder(t, { 'nginx.conf': text }), 'nginx.conf');
    const disk = new DiskFiles();
    const { snapshot } = await loadFile(file, { files: disk });
    assert.ok(snapshot?.listeners.some(({ address }) => address.key === '127.0.0.1:81'));
    const bundle = disk.bundle();
    assert.deepEqual([...bundle.names.keys()], ['localhost']);
    assert.notEqual((await loadFile(file, { files: new BundleFiles(bundle) })).snapshot, undefined);
  });

  test('that nobody has are a mistake at the place where they stand', async (t) => {
    const text = inHttp('server { location / {\nproxy_pass https://nowhere.invalid/x; } }');
    assert.deepEqual(await said(t, text), ['[emerg] host not found in upstream "nowhere.invalid" in 5']);
  });
});

describe('what stands outside of http', () => {
  test("has nginx's defaults", async (t) => {
    const { core } = await snapshotOf(t, 'events {}');
    assert.deepEqual(core, {
      daemon: true,
      masterProcess: true,
      pidFile: '/prefix/logs/nginx.pid',
      user: undefined,
      workerProcesses: 1,
      workerConnections: 512,
      workerRlimitNofile: undefined,
      workerShutdownTimeout: 0,
      errorLogs: [{ path: '/prefix/logs/error.log', level: 'error' }],
    });
  });

  test('is what the file says, and -g before it', async (t) => {
    const text = `
      master_process off; worker_processes 3; pid run/x.pid; worker_rlimit_nofile 5000;
      worker_shutdown_timeout 10s; error_log /var/x.log warn; error_log stderr debug_http;
      events { worker_connections 77; use epoll; multi_accept on; }`;
    const { core } = await snapshotOf(t, text, { globals: 'daemon off;' });
    assert.deepEqual(core, {
      daemon: false,
      masterProcess: false,
      pidFile: '/prefix/run/x.pid',
      user: undefined,
      workerProcesses: 3,
      workerConnections: 77,
      workerRlimitNofile: 5000,
      workerShutdownTimeout: 10_000,
      errorLogs: [
        { path: '/var/x.log', level: 'warn' },
        { path: 'stderr', level: 'debug' },
      ],
    });
  });

  test('names the user by whose rights it runs', async (t) => {
    const { core } = await snapshotOf(t, 'user www-data staff; events {}');
    assert.deepEqual([core.user?.name, core.user?.group], ['www-data', 'staff']);
    assert.match(core.user?.place ?? '', /^ in .*nginx\.conf:1$/);
  });

  test('may ask for as many workers as there are cores, but never for none', async (t) => {
    assert.ok((await snapshotOf(t, 'worker_processes auto; events {}')).core.workerProcesses >= 1);
    const { snapshot, problems } = await load(t, 'worker_processes 0; events {}');
    assert.equal(snapshot?.core.workerProcesses, 1);
    assert.match(problems.headlines[0] ?? '', /^\[warn\] without a worker nobody would be served/);
  });
});

describe('log files', () => {
  test('are named by the snapshot, those of every level', async (t) => {
    const text = `error_log a.log; events {} http { access_log b.log; error_log c.log; server {
      access_log d.log; location / { access_log e.log; error_log f.log; } location /x { access_log off; } } }`;
    const { logFiles } = await snapshotOf(t, text);
    assert.deepEqual(
      logFiles.toSorted(),
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `/prefix/${name}.log`),
    );
  });

  test('lose a buffer that the configuration takes away', async (t) => {
    const logFiles = new LogFiles();
    const path = join(temporaryFolder(t, { 'x.log': '' }), 'x.log');
    const conf = (rest: string): string => `events {} http { access_log ${path} combined ${rest}; server { } }`;
    await snapshotOf(t, conf('buffer=4k'), { logFiles });
    logFiles.open([path]);
    logFiles.file(path).write('held back');
    await snapshotOf(t, conf(''), { logFiles });
    logFiles.file(path).write('at once');
    assert.equal(new DiskFiles().read(path).toString(), 'held back\nat once\n');
  });

  test('keep their buffers where a configuration is refused', async (t) => {
    const logFiles = new LogFiles();
    const path = join(temporaryFolder(t, { 'x.log': '' }), 'x.log');
    await snapshotOf(t, `events {} http { access_log ${path} combined buffer=4k; server { } }`, { logFiles });
    logFiles.open([path]);
    await load(t, `events {} http { access_log ${path}; server { oops; } }`, { logFiles });
    logFiles.file(path).write('held back');
    assert.equal(new DiskFiles().read(path).toString(), '');
  });
});

describe('real configurations', () => {
  const DEBIAN = '/etc/nginx/nginx.conf';

  test("Debian's own is accepted", {
    skip: existsSync(DEBIAN) ? false : `${DEBIAN} is not there`,
  }, async () => {
    const { snapshot, problems } = await loadFile(DEBIAN);
    assert.notEqual(snapshot, undefined, problems.toString());
    // Who is not root is told that `user` cannot be obeyed, as nginx tells it.
    const usual = /^\[warn\] the "user" directive makes sense only/;
    assert.deepEqual(
      problems.headlines.filter((line) => !usual.test(line)),
      [],
    );
  });

  test('a snippet for FastCGI is refused by the name of its module', async (t) => {
    const lines = await said(t, inHttp('server { location ~ \\.php$ { fastcgi_pass unix:/run/php.sock; } }'));
    assert.deepEqual(lines, [
      '[emerg] "fastcgi_pass" belongs to ngx_http_fastcgi_module, which sockgate does not have in 4',
    ]);
  });
});

test('a snapshot is frozen', async (t) => {
  const snapshot = await snapshotOf(t, inHttp('server { location / { return 200; } }'));
  assert.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.core));
  const [listener] = snapshot.listeners;
  assert.ok(
    Object.isFrozen(listener?.defaultServer.settings) && Object.isFrozen(listener?.defaultServer.settings.outside),
  );
});

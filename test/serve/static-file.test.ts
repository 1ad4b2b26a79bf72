// Files under root and alias.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync, truncateSync, utimesSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { LocationSettings } from '../../src/exchange/settings.ts';
import { DEFAULT_TYPES } from '../../src/serve/mime-types.ts';
import { serveFile } from '../../src/serve/static-file.ts';
import { locationSettings, serverSettings } from '../support/location-settings.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';
import { KeptLog, runServer } from '../support/running-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Served {
  readonly port: number;
  readonly folder: string;
  readonly log: KeptLog;
}

async function serve(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
  settings: Partial<LocationSettings> = {},
): Promise<Served> {
  const folder = temporaryFolder(t, files);
  const log = new KeptLog();
  const location = locationSettings({
    content: [serveFile],
    errorLog: log,
    types: DEFAULT_TYPES,
    filePath: (_exchange, uri) => folder + uri,
    ...settings,
  });
  return { port: await runServer(t, serverSettings(location)), folder, log };
}

/** As `location /i { alias FOLDER/; }`. */
function aliased(t: TestContext, files: Readonly<Record<string, string>>): Promise<Served & { outer: string }> {
  const outer = temporaryFolder(t, files);
  const filePath: LocationSettings['filePath'] = (_exchange, uri) => `${outer}/data/${uri.slice('/i'.length)}`;
  return serve(t, {}, { filePath }).then((served) => ({ ...served, outer }));
}

const DIGITS = '0123456789';
/** Longer than several reads, and different everywhere. */
const LONG = Buffer.from(Array.from({ length: 200_000 }, (_, index) => String(index).padStart(10, '0')).join(''));

test('a file is sent with its length, its type, its date and its tag', async (t) => {
  const { port, folder } = await serve(t, { 'a.html': DIGITS });
  utimesSync(join(folder, 'a.html'), 784111777, 784111777.5);
  const answer = await ask(port, 'GET /a.html?x=1');
  assert.equal(answer.status, 200);
  assert.equal(answer.text, DIGITS);
  assert.equal(answer.headers.get('content-length'), '10');
  assert.equal(answer.headers.get('content-type'), 'text/html');
  assert.equal(answer.headers.get('last-modified'), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(answer.headers.get('etag'), '"2ebc98a1-a"');
  assert.equal(answer.headers.get('accept-ranges'), 'bytes');
});

test('a file of many reads arrives whole', async (t) => {
  const { port } = await serve(t, { long: LONG });
  const answer = await ask(port, 'GET /long');
  assert.ok(answer.body.equals(LONG));
});

test('an empty file is an empty answer', async (t) => {
  const { port } = await serve(t, { empty: '' });
  const answer = await ask(port, 'GET /empty', 'Range: bytes=0-');
  assert.deepEqual([answer.status, answer.headers.get('content-length'), answer.text], [200, '0', '']);
});

test('HEAD gets what GET would get, without the file', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const [head, get] = [await ask(port, 'HEAD /a'), await ask(port, 'GET /a')];
  assert.equal(head.text, '');
  for (const name of ['content-length', 'etag', 'last-modified', 'content-type', 'accept-ranges']) {
    assert.equal(head.headers.get(name), get.headers.get(name), name);
  }
});

test('names are bytes, not characters', async (t) => {
  const { port } = await serve(t, { café: 'utf-8' });
  assert.equal((await ask(port, 'GET /caf%C3%A9')).text, 'utf-8');
  assert.equal((await ask(port, 'GET /caf%E9')).status, 404);
});

test('requests follow each other on one connection', async (t) => {
  const { port } = await serve(t, { a: DIGITS, b: 'bb' });
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const last = 'GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const whole = (await exchangeBytes(port, Buffer.from(get('/a') + get('/none') + get('/a') + last))).toString();
  assert.deepEqual(
    whole.match(/HTTP\/1\.1 \d+/g),
    ['200', '404', '200', '200'].map((status) => `HTTP/1.1 ${status}`),
  );
  assert.match(whole, /\r\n\r\nbb$/);
});

test('other methods are not allowed; POST learns first whether there is a file', async (t) => {
  const { port } = await serve(t, { a: DIGITS, 'folder/': '' });
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    assert.equal((await ask(port, `${method} /a`)).status, 405);
    assert.equal((await ask(port, `${method} /none/`)).status, 405);
  }
  assert.equal((await ask(port, 'POST /a', 'Content-Length: 0')).status, 405);
  assert.equal((await ask(port, 'POST /none', 'Content-Length: 0')).status, 404);
  assert.equal((await ask(port, 'POST /folder', 'Content-Length: 0')).status, 301);
});

test('a file that is not there is 404, and the log says so', async (t) => {
  const { port, folder, log } = await serve(t, { a: DIGITS });
  assert.equal((await ask(port, 'GET /none')).status, 404);
  assert.equal((await ask(port, 'GET /a/b')).status, 404);
  assert.equal((await ask(port, `GET /${'x'.repeat(300)}`)).status, 404);
  assert.deepEqual(log.lines, [
    `[error] open() "${folder}/none" failed (2: No such file or directory)`,
    `[error] open() "${folder}/a/b" failed (20: Not a directory)`,
    `[error] open() "${folder}/${'x'.repeat(300)}" failed (36: File name too long)`,
  ]);
});

test('with log_not_found off it is not logged', async (t) => {
  const { port, log } = await serve(t, {}, { logNotFound: false });
  assert.equal((await ask(port, 'GET /none')).status, 404);
  assert.deepEqual(log.lines, []);
});

test('a file that may not be opened is 403', async (t) => {
  const { port, folder, log } = await serve(t, {});
  symlinkSync('loop', join(folder, 'loop'));
  assert.equal((await ask(port, 'GET /loop')).status, 403);
  assert.deepEqual(log.lines, [`[error] open() "${folder}/loop" failed (40: Too many levels of symbolic links)`]);
});

test('a folder is redirected to its name with a slash, escaped anew', async (t) => {
  const { port, folder } = await serve(t, { 'folder/': '' });
  mkdirSync(join(folder, 'a b?'));
  assert.equal((await ask(port, 'GET /folder')).headers.get('location'), `http://localhost:${port}/folder/`);
  const answer = await ask(port, 'GET /a%20b%3f?x=%20');
  assert.deepEqual([answer.status, answer.headers.get('location')], [301, `http://localhost:${port}/a%20b%3F/?x=%20`]);
});

test('a folder with a slash is forbidden, for no index has answered', async (t) => {
  const { port, folder, log } = await serve(t, { 'folder/': '' });
  assert.equal((await ask(port, 'GET /folder/')).status, 403);
  assert.deepEqual(log.lines, [`[error] directory index of "${folder}/folder/" is forbidden`]);
});

test('what is neither file nor folder is 404, and a named pipe keeps nobody waiting', async (t) => {
  const { port, folder, log } = await serve(t, {});
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  assert.equal((await ask(port, 'GET /pipe')).status, 404);
  assert.deepEqual(log.lines, [`[crit] "${folder}/pipe" is not a regular file`]);
});

// `location /i { alias /data/; }` makes /data/../secret of /i../secret, which the resolving of the URI cannot see.
// nginx opens it; it is one of the most common holes in nginx configurations.
test('an alias without its slash lets nobody out of its folder', async (t) => {
  const { port, outer, log } = await aliased(t, { 'data/in': 'in', secret: 'secret' });
  assert.equal((await ask(port, 'GET /i/in')).text, 'in');
  for (const path of ['/i../secret', '/i%2e%2e/secret', '/i..%2fsecret', '/i../data/in']) {
    const answer = await ask(port, `GET ${path}`);
    assert.equal(answer.status, 403, path);
    assert.doesNotMatch(answer.text, /secret/);
  }
  assert.equal(
    log.lines[0],
    `[error] "${outer}/data/../secret" is refused: a path with ".." or NUL could lead out of its folder`,
  );
});

test('a name with dots in it is no way out', async (t) => {
  const { port } = await serve(t, { '..a': '1', 'b..': '2', '...': '3' });
  assert.equal((await ask(port, 'GET /..a')).text, '1');
  assert.equal((await ask(port, 'GET /b..')).text, '2');
  assert.equal((await ask(port, 'GET /...')).text, '3');
  assert.equal((await ask(port, 'GET /x/../..')).status, 400);
});

test('a NUL from a variable does not shorten the path', async (t) => {
  const { port, folder } = await serve(t, { a: DIGITS }, { filePath: (_exchange, uri) => `${folder}${uri}\0.html` });
  assert.equal((await ask(port, 'GET /a')).status, 403);
});

test('what the client has is not sent again', async (t) => {
  const { port } = await serve(t, { 'a.html': DIGITS });
  const { headers } = await ask(port, 'GET /a.html');
  for (const condition of [
    `If-None-Match: ${headers.get('etag')}`,
    `If-Modified-Since: ${headers.get('last-modified')}`,
  ]) {
    const answer = await ask(port, 'GET /a.html', condition);
    assert.deepEqual([answer.status, answer.text], [304, '']);
    assert.equal(answer.headers.get('etag'), headers.get('etag'));
    assert.equal(answer.headers.get('last-modified'), headers.get('last-modified'));
    for (const name of ['content-type', 'content-length', 'accept-ranges']) {
      assert.equal(answer.headers.get(name), undefined, name);
    }
  }
});

test('a file other than the one that the client means is 412, without a trace of it in the head', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const answer = await ask(port, 'GET /a', 'If-Match: "x"');
  assert.equal(answer.status, 412);
  assert.equal(answer.headers.get('etag'), undefined);
  assert.match(answer.text, /412 Precondition Failed/);
});

test('with etag off there is no tag', async (t) => {
  const { port } = await serve(t, { a: DIGITS }, { etag: false });
  assert.equal((await ask(port, 'GET /a')).headers.get('etag'), undefined);
  assert.equal((await ask(port, 'GET /a', 'If-Match: "x"')).status, 412);
});

test('a range is sent as 206', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const answer = await ask(port, 'GET /a', 'Range: bytes=2-4');
  assert.deepEqual([answer.status, answer.text], [206, '234']);
  assert.equal(answer.headers.get('content-range'), 'bytes 2-4/10');
  assert.equal(answer.headers.get('content-length'), '3');
  assert.equal(answer.headers.get('accept-ranges'), undefined);
});

test('a range deep in a long file is read from there', async (t) => {
  const { port } = await serve(t, { long: LONG });
  const answer = await ask(port, 'GET /long', 'Range: bytes=1000003-1300006');
  assert.ok(answer.body.equals(LONG.subarray(1000003, 1300007)));
});

test('several ranges are sent as parts', async (t) => {
  const { port } = await serve(t, { 'a.html': DIGITS });
  const answer = await ask(port, 'GET /a.html', 'Range: bytes=0-1, -2, 4-4');
  const type = answer.headers.get('content-type') ?? '';
  const boundary = /^multipart\/byteranges; boundary=(\d{20})$/.exec(type)?.[1];
  const part = (range: string, bytes: string) =>
    `\r\n--${boundary}\r\nContent-Type: text/html\r\nContent-Range: bytes ${range}/10\r\n\r\n${bytes}`;
  assert.equal(answer.status, 206);
  assert.equal(answer.text, `${part('0-1', '01')}${part('8-9', '89')}${part('4-4', '4')}\r\n--${boundary}--\r\n`);
  assert.equal(answer.headers.get('content-length'), String(answer.body.length));
});

test('long parts arrive whole, too', async (t) => {
  const { port } = await serve(t, { long: LONG });
  const answer = await ask(port, 'GET /long', 'Range: bytes=0-99999,500000-999999,7-7');
  assert.equal(answer.headers.get('content-length'), String(answer.body.length));
  const bodies = answer.text.split(/\r\n--\d{20}(?:--\r\n|\r\n.*\r\n.*\r\n\r\n)/);
  assert.deepEqual(
    bodies.map((body) => body.length),
    [0, 100_000, 500_000, 1, 0],
  );
  assert.equal(bodies[2], LONG.toString('latin1', 500_000, 1_000_000));
});

test('HEAD tells the length of the parts without sending them', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const [head, get] = [
    await ask(port, 'HEAD /a', 'Range: bytes=0-1,3-4'),
    await ask(port, 'GET /a', 'Range: bytes=0-1,3-4'),
  ];
  assert.deepEqual([head.status, head.text], [206, '']);
  assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
});

test('a range behind the end is 416 and tells the size', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const answer = await ask(port, 'GET /a', 'Range: bytes=10-');
  assert.equal(answer.status, 416);
  assert.equal(answer.headers.get('content-range'), 'bytes */10');
  assert.match(answer.text, /416 Requested Range Not Satisfiable/);
});

test('with max_ranges 0 there are no ranges', async (t) => {
  const { port } = await serve(t, { a: DIGITS }, { maxRanges: 0 });
  const answer = await ask(port, 'GET /a', 'Range: bytes=0-1');
  assert.deepEqual([answer.status, answer.text, answer.headers.get('accept-ranges')], [200, DIGITS, undefined]);
});

test('a range of another state of the file is ignored', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  const { headers } = await ask(port, 'GET /a');
  const range = 'Range: bytes=0-1';
  assert.equal((await ask(port, 'GET /a', range, `If-Range: ${headers.get('etag')}`)).status, 206);
  assert.equal((await ask(port, 'GET /a', range, 'If-Range: "x"')).status, 200);
});

test('HTTP/0.9 gets the file alone, and no ranges', async (t) => {
  const { port } = await serve(t, { a: DIGITS });
  assert.equal((await exchangeBytes(port, Buffer.from('GET /a\r\n'))).toString(), DIGITS);
});

test('an error_page may be a file', async (t) => {
  const errorPages = [{ statuses: [404, 412, 416], overwrite: undefined, target: () => '/sorry.html' }];
  const { port } = await serve(t, { 'sorry.html': 'sorry', a: DIGITS }, { errorPages });
  const answer = await ask(port, 'GET /none');
  assert.deepEqual([answer.status, answer.text, answer.headers.get('content-type')], [404, 'sorry', 'text/html']);
  assert.equal(answer.headers.get('last-modified'), undefined);
  assert.deepEqual((await ask(port, 'HEAD /none')).text, '');
});

test('conditions and ranges are not about an error_page', async (t) => {
  const errorPages = [{ statuses: [404, 412, 416], overwrite: undefined, target: () => '/sorry' }];
  const { port } = await serve(t, { sorry: 'sorry', a: DIGITS }, { errorPages });
  for (const [path, field, status] of [
    ['/none', 'If-None-Match: *', 404],
    ['/none', 'If-Match: "x"', 404],
    ['/none', 'Range: bytes=0-1', 404],
    ['/a', 'If-Match: "x"', 412],
    ['/a', 'Range: bytes=99-', 416],
  ] as const) {
    const answer = await ask(port, `GET ${path}`, field);
    assert.deepEqual(
      [answer.status, answer.text, answer.headers.get('accept-ranges')],
      [status, 'sorry', undefined],
      field,
    );
  }
});

/** Paths of the files in a folder that this process has open. */
function openFiles(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return [];
    }
  });
}

async function untilClosed(folder: string): Promise<void> {
  while (openFiles(folder).length > 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Far more than the kernel takes in for one connection. */
const HUGE = 64 * 1024 * 1024;

/** Asks for a file of HUGE size, and reads until it is on its way and no further. */
async function askAndStop(port: number): Promise<{ socket: Socket; chunks: Buffer[] }> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.write('GET /huge HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  chunks.push(first);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.pause();
  return { socket, chunks };
}

function makeHuge(folder: string): string {
  const path = join(folder, 'huge');
  execFileSync('truncate', ['-s', String(HUGE), path]);
  return path;
}

test('a client that reads slowly gets all of it, and is not waited for in memory', async (t) => {
  const { port, folder } = await serve(t, {});
  makeHuge(folder);
  const before = process.memoryUsage().rss;
  const clients = await Promise.all(Array.from({ length: 8 }, () => askAndStop(port)));
  const [first, ...others] = clients as [(typeof clients)[number], ...typeof clients];
  let bytes = first.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const head = answerOf(Buffer.concat(first.chunks));
  first.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  first.socket.resume();
  await once(first.socket, 'close');
  assert.equal(bytes, HUGE + head.whole.length - head.body.length);
  assert.ok(process.memoryUsage().rss - before < HUGE, 'less than one of the eight files');
  for (const other of others) other.socket.destroy();
  await untilClosed(folder);
});

test('a client that goes leaves no file open', async (t) => {
  const { port, folder } = await serve(t, { a: DIGITS });
  makeHuge(folder);
  const { socket } = await askAndStop(port);
  assert.equal(openFiles(folder).length, 1);
  socket.resetAndDestroy();
  await untilClosed(folder);
  assert.equal((await ask(port, 'GET /a')).text, DIGITS);
});

test('a client that goes before its file is open leaves nothing behind', async (t) => {
  const { port, folder } = await serve(t, { a: DIGITS });
  for (let count = 0; count < 20; count++) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n');
    socket.resetAndDestroy();
  }
  assert.equal((await ask(port, 'GET /a')).text, DIGITS);
  await untilClosed(folder);
});

test('a file that becomes shorter while it is sent ends in a cut connection', async (t) => {
  const { port, folder, log } = await serve(t, {});
  const path = makeHuge(folder);
  const { socket, chunks } = await askAndStop(port);
  truncateSync(path, 1000);
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close');
  const answer = answerOf(Buffer.concat(chunks));
  assert.equal(answer.headers.get('content-length'), String(HUGE));
  assert.ok(answer.body.length < HUGE);
  assert.match(log.lines.join('\n'), /^\[alert\] file ".*\/huge" was truncated at \d+ while it was being sent$/);
  await untilClosed(folder);
});

test('no file stays open after all kinds of answers', async (t) => {
  const { port, folder } = await serve(t, { a: DIGITS, empty: '', 'folder/': '', long: LONG });
  assert.ok(statSync(join(folder, 'long')).size > 0);
  await Promise.all([
    ask(port, 'GET /a'),
    ask(port, 'HEAD /a'),
    ask(port, 'GET /empty'),
    ask(port, 'GET /folder'),
    ask(port, 'GET /long', 'Range: bytes=1-2,5-9'),
    ask(port, 'GET /a', 'Range: bytes=99-'),
    ask(port, 'GET /a', 'If-Match: "x"'),
    ask(port, 'GET /a', 'If-None-Match: *'),
    ask(port, 'POST /a', 'Content-Length: 0'),
  ]);
  await untilClosed(folder);
});

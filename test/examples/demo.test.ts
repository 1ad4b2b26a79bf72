// The demo that `npm start` runs: the page, WebSockets plain and over TLS, the same peer again, and a graceful end.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, freePorts } from '../support/free-port.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { DemoRun, startDemo } from './start-demo.ts';

test('the demo', async (t) => {
  const demo = await startDemo(t);
  await t.test('the page is served over http and over https', async () => {
    const answer = await fetch(`http://127.0.0.1:${demo.http}/`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'text/html');
    const page = await answer.text();
    assert.equal(page, readFileSync(join(import.meta.dirname, '../../examples/demo/html/index.html'), 'utf8'));
    assert.equal(await overTls(demo.https, join(demo.files, 'localhost.crt')), page);
  });
  await t.test('a WebSocket is echoed over ws and over wss by a peer that says who it is', async (t) => {
    const plain = await TalkingClient.to(t, `ws://127.0.0.1:${demo.http}/websocket/`);
    const first = await plain.ask('hello');
    assert.match(first, /^peer [123]: hello$/);
    const ca = readFileSync(join(demo.files, 'localhost.crt'));
    const secure = await TalkingClient.to(t, `wss://localhost:${demo.https}/websocket/`, { ca });
    assert.match(await secure.ask('hello'), /^peer [123]: hello$/);
    assert.deepEqual(await secure.askBytes(Buffer.from([0, 255, 1])), Buffer.from([0, 255, 1]));
  });
  await t.test('what listens, listens on the loopback address itself', async () => {
    const peers = [...demo.run.text.matchAll(/peer \d on 127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
    assert.equal(peers.length, 3);
    for (const port of [demo.http, demo.https, ...peers]) {
      assert.equal(await dial('127.0.0.1', port), 'connected');
      // Whatever listens on all addresses answers on this one, too.
      assert.equal(await dial('127.0.0.2', port), 'ECONNREFUSED');
    }
  });
  await t.test('HUP reloads nginx.conf, and open WebSockets go on', async (t) => {
    const client = await TalkingClient.to(t, `ws://127.0.0.1:${demo.http}/websocket/`);
    const before = await client.ask('hello');
    demo.run.process.kill('SIGHUP');
    await demo.run.said(/reloaded nginx\.conf/);
    assert.equal(await client.ask('hello'), before);
  });
  await t.test('the cookie leads to the same peer, and follows when that peer leaves', async (t) => {
    const url = `ws://127.0.0.1:${demo.http}/websocket/`;
    const first = await TalkingClient.to(t, url);
    const peer = await first.ask('hello');
    const headers = { cookie: first.cookie('route') };
    const again = await TalkingClient.to(t, url, { headers });
    assert.equal(await again.ask('hello'), peer);
    assert.equal(again.setCookie, undefined);
    assert.equal(await first.ask('/leave'), peer.replace('hello', '/leave'));
    assert.deepEqual(await first.closed, { code: 1012, reason: `${peer.split(':')[0]} leaves` });
    const moved = await TalkingClient.to(t, url, { headers });
    const other = await moved.ask('hello');
    assert.notEqual(other, peer);
    assert.notEqual(moved.cookie('route'), headers.cookie);
    const there = await TalkingClient.to(t, url, { headers: { cookie: moved.cookie('route') } });
    assert.equal(await there.ask('hello'), other);
  });
});

test('INT ends it with close frames to the clients and code 0', async (t) => {
  const demo = await startDemo(t);
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${demo.http}/websocket/`);
  await client.ask('hello');
  demo.run.process.kill('SIGINT');
  assert.deepEqual(await client.closed, { code: 1012, reason: '' });
  assert.deepEqual(await demo.run.ended, { code: 0, signal: null });
  assert.match(readFileSync(join(demo.files, 'access.log'), 'utf8'), /"GET \/websocket\/ HTTP\/1\.1" 101 /);
});

test('the key is readable by its owner only, and a second start keeps the certificate', async (t) => {
  const demo = await startDemo(t);
  const [certificate, key] = [join(demo.files, 'localhost.crt'), join(demo.files, 'localhost.key')];
  assert.equal(statSync(key).mode & 0o777, 0o600);
  const before = readFileSync(certificate, 'utf8');
  demo.run.process.kill('SIGTERM');
  assert.deepEqual(await demo.run.ended, { code: 0, signal: null });
  const [http, https] = await freePorts(2);
  const again = new DemoRun(t, ['--http', `${http}`, '--https', `${https}`, '--files', demo.files]);
  await again.said(/signed by itself \(from an earlier start\)/);
  assert.equal(readFileSync(certificate, 'utf8'), before);
});

test('a port that is taken is named, with the way to choose another', async (t) => {
  const taken = createServer();
  t.after(() => taken.close());
  const port = await freePort();
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
  const files = join(temporaryFolder(t, {}), 'kept');
  const run = new DemoRun(t, ['--http', `${port}`, '--https', `${await freePort()}`, '--files', files]);
  assert.deepEqual(await run.ended, { code: 1, signal: null });
  assert.match(
    run.text,
    new RegExp(
      `^sockgate: port ${port} of 127.0.0.1, for http, is taken by another program\n.*npm start -- --http \\d+`,
    ),
  );
  assert.equal(existsSync(files), false);
});

test('what it does not understand it explains', async (t) => {
  const wrong = new DemoRun(t, ['--http', '99999']);
  assert.deepEqual(await wrong.ended, { code: 1, signal: null });
  assert.equal(wrong.text, 'sockgate: "99999" is no port: it must be a number from 1 to 65535\n');
  const help = new DemoRun(t, ['--help']);
  assert.deepEqual(await help.ended, { code: 0, signal: null });
  assert.match(help.text, /--files/);
});

function dial(host: string, port: number): Promise<string | undefined> {
  const socket = connect(port, host);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve('connected'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  }).finally(() => socket.destroy()) as Promise<string | undefined>;
}

/** The page, with the demo's own certificate trusted and its name checked. */
function overTls(port: number, certificate: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: 'localhost', port, ca: readFileSync(certificate) }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

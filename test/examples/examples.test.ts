// Each example as it stands in its folder, but for its ports: it is found good by -t, and does what its README says.

import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { adaptConf } from '../../examples/demo/demo-conf.ts';
import { EchoPeer, type EchoPeerOptions } from '../../examples/echo-peer.ts';
import { makeCertificate } from '../../examples/make-certificate.ts';
import { freePorts } from '../support/free-port.ts';
import { Sockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

interface RunningExample {
  readonly sockgate: Sockgate;
  readonly peers: readonly EchoPeer[];
  /** Which port stands in for which port of the file. */
  readonly port: (inFile: number) => number;
  readonly certificate: string;
}

interface ExampleWish {
  readonly name: string;
  /** Ports of the file on which the gateway listens. */
  readonly listens: readonly number[];
  /** Ports of the file that its peers have. */
  readonly peers: readonly number[];
  /** Where the file expects its certificate. */
  readonly certificates?: string;
  /** Whether the peers speak TLS, by that certificate. */
  readonly peersSpeakTls?: boolean;
  /** Where the file puts its pid. Default: nginx's own place. */
  readonly pid?: string;
}

/** A copy of the example in a folder of its own, tested by -t and then run in the foreground. */
async function runExample(t: TestContext, wish: ExampleWish): Promise<RunningExample> {
  const source = join(EXAMPLES, wish.name);
  const ports = new Map<number, number>();
  const args = ['-g', 'daemon off;'];
  const sockgate = new Sockgate(t, { conf: '', bare: true, args, mayFail: true });
  cpSync(source, sockgate.prefix, { recursive: true, filter: (path) => !path.includes('.sockgate') });
  const certificates = join(sockgate.prefix, wish.certificates ?? 'certificate');
  const files = await makeCertificate(certificates);
  const tls = { cert: readFileSync(files.certificate, 'utf8'), key: readFileSync(files.key, 'utf8') };
  const peers = await startPeers(t, wish, ports, wish.peersSpeakTls === true ? { tls } : {});
  const free = await freePorts(wish.listens.length);
  for (const [index, port] of wish.listens.entries()) ports.set(port, free[index] as number);
  const conf = adaptConf(readFileSync(join(source, 'nginx.conf'), 'utf8'), { ports, ipv6: false, files: '.sockgate' });
  writeFileSync(join(sockgate.prefix, 'nginx.conf'), conf);
  assert.deepEqual(await sockgate.run('-tq'), { code: 0, stdout: '', stderr: '' });
  await sockgate.start();
  await until(`a pid file; it says: ${sockgate.stderr}`, () => sockgate.has(wish.pid ?? 'logs/nginx.pid'));
  return { sockgate, peers, port: (inFile) => ports.get(inFile) as number, certificate: tls.cert };
}

/** Started on ports of the system's choice, which take the place of those in the file. */
async function startPeers(
  t: TestContext,
  wish: ExampleWish,
  ports: Map<number, number>,
  options: Pick<EchoPeerOptions, 'tls'>,
): Promise<EchoPeer[]> {
  const peers: EchoPeer[] = [];
  for (const [index, inFile] of wish.peers.entries()) {
    const peer = await EchoPeer.start({ name: `peer ${index + 1}`, port: 0, ...options });
    t.after(() => peer.close());
    ports.set(inFile, peer.port);
    peers.push(peer);
  }
  return peers;
}

test('every example is tested here', () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map(({ name }) => name).sort(), ['demo', 'static-and-websocket', 'sticky', 'wss']);
  for (const { name } of folders) {
    assert.equal(existsSync(join(EXAMPLES, name, 'nginx.conf')), true);
    assert.equal(existsSync(join(EXAMPLES, name, 'README.md')), true);
  }
});

test('demo: what it runs is the file, character for character, where nothing is in the way', () => {
  const conf = readFileSync(join(EXAMPLES, 'demo', 'nginx.conf'), 'utf8');
  assert.equal(adaptConf(conf, { ports: new Map(), ipv6: true, files: '.sockgate' }), conf);
});

test('demo: its location and its balancing are those of the article, with plain quotes', () => {
  const words = (text: string): string =>
    text
      .replace(/#.*/g, '')
      .replace(/\s+/g, ' ')
      .replace(/ ?([{};]) ?/g, '$1');
  const article = readFileSync(join(import.meta.dirname, '../clients/article/3-balancing.conf'), 'utf8');
  const plain = words(
    article.replace(/[“”]/g, '"').replace(/192\.168\.1\.1(\d):8080/g, (_, n) => `127.0.0.1:900${Number(n) + 1}`),
  );
  const demo = words(readFileSync(join(EXAMPLES, 'demo', 'nginx.conf'), 'utf8'));
  const [upstream, location] = plain.split(/(?=location)/) as [string, string];
  assert.ok(demo.includes(upstream), upstream);
  assert.ok(demo.includes(location), location);
});

test('demo: the file runs by the command as well, and ends by -s quit', async (t) => {
  const wish = { listens: [8080, 8443], peers: [9001, 9002, 9003], certificates: '.sockgate' };
  const { sockgate, port, certificate } = await runExample(t, { name: 'demo', ...wish, pid: '.sockgate/sockgate.pid' });
  const page = await fetch(`http://127.0.0.1:${port(8080)}/`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /<title>sockgate/);
  const url = `wss://localhost:${port(8443)}/websocket/`;
  const client = await TalkingClient.to(t, url, { ca: certificate });
  const answer = await client.ask('hello');
  const headers = { cookie: client.cookie('route') };
  const again = await TalkingClient.to(t, url, { ca: certificate, headers });
  assert.equal(await again.ask('hello'), answer);
  client.socket.close();
  again.socket.close();
  assert.deepEqual(await sockgate.run('-s', 'quit'), { code: 0, stdout: '', stderr: '' });
  assert.deepEqual(await sockgate.exited(), { code: 0, signal: null });
});

test('wss: TLS on both sides, and a peer with another certificate is refused', async (t) => {
  const wish = { listens: [8443], peers: [9001], peersSpeakTls: true };
  const { sockgate, port, peers, certificate } = await runExample(t, { name: 'wss', ...wish });
  const url = `wss://localhost:${port(8443)}/websocket/`;
  const client = await TalkingClient.to(t, url, { ca: certificate });
  assert.equal(await client.ask('hello'), 'peer 1: hello');
  const [peer] = peers as [EchoPeer];
  await peer.close();
  const other = await makeCertificate(join(sockgate.prefix, 'other'));
  const tls = { cert: readFileSync(other.certificate, 'utf8'), key: readFileSync(other.key, 'utf8') };
  const impostor = await EchoPeer.start({ name: 'impostor', port: peer.port, tls });
  t.after(() => impostor.close());
  await assert.rejects(TalkingClient.to(t, url, { ca: certificate }), /Unexpected server response: 502/);
  await sockgate.logged(/upstream SSL certificate verify error/);
});

test('sticky: by the cookie of the gateway, and by the session of the application', async (t) => {
  const { port } = await runExample(t, { name: 'sticky', listens: [8080], peers: [9001, 9002, 9003] });
  const base = `127.0.0.1:${port(8080)}`;
  const client = await TalkingClient.to(t, `ws://${base}/chat/`);
  const headers = { cookie: client.cookie('route') };
  const again = await TalkingClient.to(t, `ws://${base}/chat/`, { headers });
  assert.equal(await again.ask('hello'), await client.ask('hello'));
  for (const [index, route] of ['a', 'b', 'c'].entries()) {
    const byCookie = { headers: { cookie: `jsessionid=0A1B2C.${route}` } };
    const one = await TalkingClient.to(t, `ws://${base}/shop/`, byCookie);
    assert.equal(await one.ask('hello'), `peer ${index + 1}: hello`);
    assert.equal(one.setCookie, undefined);
    const byPath = await fetch(`http://${base}/shop/;jsessionid=0A1B2C.${route}`);
    assert.equal(await byPath.text(), `peer ${index + 1}: hello over HTTP\n`);
  }
});

test('static-and-websocket: files, an API and WebSockets of one server', async (t) => {
  const { port } = await runExample(t, { name: 'static-and-websocket', listens: [8080], peers: [9001, 9002] });
  const base = `127.0.0.1:${port(8080)}`;
  const page = await fetch(`http://${base}/`);
  assert.match(await page.text(), /<h1>Echo<\/h1>/);
  const style = await fetch(`http://${base}/assets/site.css`);
  assert.deepEqual(
    [style.status, style.headers.get('content-type'), style.headers.get('cache-control')],
    [200, 'text/css', 'public, max-age=86400'],
  );
  const missing = await fetch(`http://${base}/nothing`);
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /There is no such page/);
  assert.match(await (await fetch(`http://${base}/api/`)).text(), /^peer [12]: hello over HTTP\n$/);
  const client = await TalkingClient.to(t, `ws://${base}/websocket/`);
  assert.match(await client.ask('hello'), /^peer [12]: hello$/);
});

// listen … proxy_protocol: the header before HTTP and before TLS, what its variables say, and what happens to a connection without one.

import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { proxyBinary, proxyBlock, proxyLine, tlv } from '../support/proxy-header.ts';
import { RawClient, sendAlone } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const HEADER = { source: '192.0.2.1', sourcePort: 123, destination: '192.0.2.2', destinationPort: 5678 };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const SAID =
  '$proxy_protocol_addr|$proxy_protocol_port|$proxy_protocol_server_addr|$proxy_protocol_server_port|$remote_addr';

async function start(t: TestContext, server = '', listen = 'proxy_protocol'): Promise<RunningGateway> {
  const { cert, key } = await selfSignedCertificate();
  const gateway = await gatewayFromConfig({
    http: `
      access_log off;
      ${listen.includes('ssl') ? 'ssl_certificate a.crt; ssl_certificate_key a.key;' : ''}
      server {
          listen 127.0.0.1:8080 ${listen};
          ${server}
          location / { return 200 "${SAID}|$proxy_protocol_tlv_alpn|$proxy_protocol_tlv_ssl_cn"; }
          location /unknown { return 200 "[$proxy_protocol_tlv_color]"; }
      }`,
    files: { 'a.crt': cert, 'a.key': key },
  });
  t.after(() => gateway.stop());
  return gateway;
}

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

test('the variables say what the header says, and the client stays who it is', async (t) => {
  const gateway = await start(t);
  const said = '192.0.2.1|123|192.0.2.2|5678|127.0.0.1';
  const one = await sendAlone(t, gateway.port(), Buffer.concat([proxyLine(HEADER), Buffer.from(GET)]));
  assert.equal(bodyOf(one.text), `${said}||`);
  const ssl = tlv(0x20, Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), tlv(0x22, 'me')]));
  const two = await sendAlone(
    t,
    gateway.port(),
    Buffer.concat([proxyBinary(HEADER, Buffer.concat([ssl, tlv(1, 'h2')])), Buffer.from(GET)]),
  );
  assert.equal(bodyOf(two.text), `${said}|h2|me`);
});

test('a header without an address leaves the variables empty', async (t) => {
  const gateway = await start(t);
  for (const head of [Buffer.from('PROXY UNKNOWN\r\n'), proxyBlock(0x20, 0, Buffer.alloc(0))]) {
    const client = await sendAlone(t, gateway.port(), Buffer.concat([head, Buffer.from(GET)]));
    assert.equal(bodyOf(client.text), '||||127.0.0.1||');
  }
});

test('the header may come in pieces, and holds for every request of its connection', async (t) => {
  const gateway = await start(t);
  const client = await RawClient.to(t, gateway.port());
  const head = proxyBinary(HEADER);
  client.send(head.subarray(0, 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.send(head.subarray(1, 20));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  client.send(Buffer.concat([head.subarray(20), Buffer.from(get + get)]));
  await client.answer(2);
  client.send(get);
  await client.answer(3);
  for (const { body } of client.answers) assert.equal(body.toString(), '192.0.2.1|123|192.0.2.2|5678|127.0.0.1||');
});

test('what is no header is refused with a line in the log, and the connection closed without an answer', async (t) => {
  const gateway = await start(t);
  for (const bytes of [
    Buffer.from(GET),
    Buffer.from('PROXY TCP4 a b c d\r\n'),
    proxyBlock(0x11, 0x11, Buffer.alloc(12)),
  ]) {
    const client = await sendAlone(t, gateway.port(), bytes);
    assert.equal(client.text, '');
  }
  const lines = gateway.lines().filter((line) => line.includes('[error]'));
  assert.equal(lines.length, 3);
  const where = 'while reading PROXY protocol, client: 127.0.0.1, server: 127.0.0.1:8080';
  assert.ok(lines[0]?.endsWith(`broken header: "GET / HTTP/1.1" ${where}`), lines[0]);
  assert.ok(lines[1]?.endsWith(`broken header: "PROXY TCP4 a b c d" ${where}`), lines[1]);
  assert.ok(lines[2]?.endsWith(`unknown PROXY protocol version: 1 ${where}`), lines[2]);
});

test('a client that goes in the middle of its header, or before it, is told of', async (t) => {
  const gateway = await start(t);
  for (const bytes of ['PROXY TCP4 1.2.3.4', '']) {
    const client = await RawClient.to(t, gateway.port());
    client.send(bytes);
    client.socket.end();
    await client.untilClosed();
  }
  await until('both lines', () => gateway.lines().length >= 2);
  assert.match(gateway.lines()[0] as string, /\[error\].*broken header: "PROXY TCP4 1\.2\.3\.4" while reading PROXY/);
  assert.match(gateway.lines()[1] as string, /\[info\].*client closed connection while reading PROXY protocol/);
});

test('client_header_timeout ends a connection whose header does not come', async (t) => {
  const gateway = await start(t, 'client_header_timeout 100ms;');
  const client = await RawClient.to(t, gateway.port());
  client.send('PROXY TCP4 1.2.3.4');
  await client.untilEnded();
  assert.equal(client.text, '');
  assert.match(
    gateway.read('logs/error.log'),
    /client timed out \(110: Connection timed out\) while reading PROXY protocol/,
  );
});

test('a TLV that has no such name is empty, and told at [error]', async (t) => {
  const gateway = await start(t);
  const get = GET.replace('/', '/unknown');
  const client = await sendAlone(t, gateway.port(), Buffer.concat([proxyBinary(HEADER), Buffer.from(get)]));
  assert.equal(bodyOf(client.text), '[]');
  assert.match(gateway.read('logs/error.log'), /\[error\].*unknown PROXY protocol TLV "color", client: 127\.0\.0\.1/);
});

test('TLS begins behind the header, in a piece of its own', async (t) => {
  const gateway = await start(t, '', 'ssl proxy_protocol');
  const raw = await RawClient.to(t, gateway.port());
  raw.send(proxyBinary(HEADER));
  raw.socket.removeAllListeners('data');
  const socket = connectTls({ socket: raw.socket, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  const client = new RawClient(socket);
  client.send(GET);
  await client.untilEnded();
  assert.equal(bodyOf(client.text), '192.0.2.1|123|192.0.2.2|5678|127.0.0.1||');
});

test('TLS begins behind the header, in the same piece', async (t) => {
  const gateway = await start(t, '', 'ssl proxy_protocol');
  const raw = await RawClient.to(t, gateway.port());
  raw.socket.removeAllListeners('data');
  let head = proxyLine(HEADER);
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      raw.socket.write(Buffer.concat([head, chunk]), () => done());
      head = Buffer.alloc(0);
    },
  });
  raw.socket.on('data', (chunk) => wire.push(chunk));
  raw.socket.on('end', () => wire.push(null));
  const socket = connectTls({ socket: wire, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  const client = new RawClient(socket);
  client.send(GET);
  await client.untilEnded();
  assert.equal(bodyOf(client.text), '192.0.2.1|123|192.0.2.2|5678|127.0.0.1||');
});

test('plain HTTP behind the header on a TLS port is answered as such', async (t) => {
  const gateway = await start(t, '', 'ssl proxy_protocol');
  const client = await sendAlone(t, gateway.port(), Buffer.concat([proxyLine(HEADER), Buffer.from(GET)]));
  assert.match(client.text, /^HTTP\/1\.1 400 .*plain HTTP request was sent to HTTPS port/s);
});

test('a gateway that stops ends those that are still greeting', async (t) => {
  const gateway = await start(t, '', 'ssl proxy_protocol');
  const [before, within] = [await RawClient.to(t, gateway.port()), await RawClient.to(t, gateway.port())];
  within.send(proxyLine(HEADER));
  await new Promise((resolve) => setTimeout(resolve, 50));
  gateway.stop();
  await before.untilEnded();
  await within.untilEnded();
});

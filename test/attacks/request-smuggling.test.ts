// Request smuggling: an attacker sends what one reader takes for one request and another for two, so that the second reaches the
// backend unseen by the gateway's rules, or answers another client. Whatever could be read in two ways must be refused at the door:
// an answer, a closed connection, not a byte to the backend, and nothing that stood behind it is executed.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { type AttackedGateway, attackedGateway } from './attacked-gateway.ts';

const HEAD = 'POST /in HTTP/1.1\r\nHost: a\r\n';
const NEXT = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** What is sent, and the status that it must be refused with. */
type Probe = readonly [name: string, bytes: string, status: number];

async function expectRefusal(attacked: AttackedGateway, [name, bytes, status]: Probe): Promise<void> {
  const client = await attacked.send(bytes + NEXT);
  assert.deepEqual(
    client.answers.map((answer) => answer.status),
    [status],
    `${name}: ${JSON.stringify(client.text.slice(0, 200))}`,
  );
  assert.equal(fieldOf(client.answers[0] as HttpMessage, 'connection'), 'close', name);
  assert.equal(client.error, undefined, `${name}: it is closed in order`);
  assert.equal(attacked.backend.bytes, 0, `${name}: the backend got bytes`);
}

function refuses(title: string, probes: readonly Probe[]): void {
  test(title, { timeout: 60_000 }, async (t: TestContext) => {
    const attacked = await attackedGateway(t);
    for (const probe of probes) await expectRefusal(attacked, probe);
    await attacked.isAlive();
  });
}

const withFields = (...lines: string[]): string => `${HEAD}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

refuses('two framings of one body are refused', [
  ['length, then chunked', `${withFields('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
  ['chunked, then length', `${withFields('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`, 400],
  ['chunked twice', `${withFields('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
  ['chunked and another coding', `${withFields('Transfer-Encoding: chunked', 'Transfer-Encoding: x')}0\r\n\r\n`, 400],
  ['length and an unknown coding', `${withFields('Content-Length: 5', 'Transfer-Encoding: x')}hello`, 501],
  ['a vertical tab behind chunked', `${withFields('Transfer-Encoding: chunked\x0b')}0\r\n\r\n`, 400],
  ['chunked in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
]);

refuses('a transfer coding that is not exactly chunked is refused with 501', [
  ...[
    'gzip',
    'identity',
    'gzip, chunked',
    ',chunked',
    'xchunked',
    'chunked;q=1',
    '"chunked"',
    '',
    '\tchunked',
    'chunked\t',
    'chunked\xa0',
  ].map((coding): Probe => [JSON.stringify(coding), `${withFields(`Transfer-Encoding: ${coding}`)}0\r\n\r\n`, 501]),
]);

refuses('whatever follows chunked is refused with 400', [
  ...['chunked, gzip', 'chunked, chunked', 'chunked,'].map(
    (coding): Probe => [coding, `${withFields(`Transfer-Encoding: ${coding}`)}0\r\n\r\n`, 400],
  ),
]);

refuses('a length that is not one plain number is refused', [
  ...[
    '+5',
    '-5',
    '0x5',
    '5 5',
    '5,5',
    '5, 5',
    '5;',
    '5.0',
    '5e0',
    '5_0',
    '',
    '\t5',
    '5\t',
    '٥',
    '18446744073709551621',
  ].map((length): Probe => [JSON.stringify(length), `${withFields(`Content-Length: ${length}`)}hello`, 400]),
  ['the same twice', `${withFields('Content-Length: 5', 'Content-Length: 5')}hello`, 400],
  ['two different ones', `${withFields('Content-Length: 5', 'Content-Length: 6')}hello`, 400],
]);

refuses('a field that other readers would read differently is refused', [
  ['a space before the colon', `${withFields('Transfer-Encoding : chunked')}0\r\n\r\n`, 400],
  ['a tab before the colon', `${withFields('Content-Length\t: 5')}hello`, 400],
  ['a space before the first name', 'POST / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
  ['a folded value', withFields('X: a', ' b'), 400],
  ['a value folded by a tab', withFields('X: a', '\tTransfer-Encoding: chunked'), 400],
  ['no name', withFields(': x'), 400],
  ['no colon', withFields('Transfer-Encoding chunked'), 400],
  ['NUL in a value', withFields('X: a\0b'), 400],
  ['NUL in a name', withFields('X\0: a'), 400],
  ['a bare CR in a value', withFields('X: a\rContent-Length: 5'), 400],
  ['a bare CR in a name', withFields('X\rY: a'), 400],
  ['CR twice before LF', `${HEAD}X: a\r\r\n\r\n`, 400],
  ['CR and something else where the head ends', `${HEAD}\rX`, 400],
  ['CR CR LF where the head ends', `${HEAD}\r\r\n`, 400],
]);

refuses('a host that is not one host is refused', [
  ['none in HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['the same twice', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
  ...['a b', 'a@b', 'a/b', 'a,b', 'a, b', 'a?b', 'a#b', '[::1', 'a\\b', 'a:port', 'a:1:2', 'a..b'].map(
    (host): Probe => [host, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 400],
  ),
]);

refuses('a request line that is none is refused', [
  ['a method in lower case', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['no method', ' / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['NUL in the target', 'GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a bare CR in the target', 'GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a tab in the target', 'GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['something behind the version', 'GET / HTTP/1.1 x\r\nHost: a\r\n\r\n', 400],
  ['a version in lower case', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['version 1.', 'GET / HTTP/1.\r\nHost: a\r\n\r\n', 400],
  ['version 2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 405],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['a scheme without a host', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['userinfo in the target', 'GET http://a@b/x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['above the root', 'GET /../x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['above the root, hidden', 'GET /a/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an encoded NUL', 'GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a broken escape', 'GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n', 400],
  ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
]);

const CHUNKED = withFields('Transfer-Encoding: chunked');

refuses('chunks that are not framed to the letter are refused', [
  ...[
    ['no size', '\r\nhello\r\n0\r\n\r\n'],
    ['a sign', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['0x', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a space before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a space behind the size', '5 \r\nhello\r\n0\r\n\r\n'],
    ['a tab behind the size', '5\t\r\nhello\r\n0\r\n\r\n'],
    ['an underscore', '1_0\r\nhello\r\n0\r\n\r\n'],
    ['more than can be counted', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['more than 2^53', '20000000000001\r\nhello\r\n0\r\n\r\n'],
    ['LF alone behind the size', '5\nhello\r\n0\r\n\r\n'],
    ['CR alone behind the size', '5\rhello\r\n0\r\n\r\n'],
    ['LF alone behind the data', '5\r\nhello\n0\r\n\r\n'],
    ['more data than said', '5\r\nhello!\r\n0\r\n\r\n'],
    ['less data than said', '6\r\nhello\r\n0\r\n\r\n'],
    ['LF alone behind the last size', '5\r\nhello\r\n0\n\n'],
    ['LF alone behind the trailers', '5\r\nhello\r\n0\r\n\n'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
    ['LF in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
    ['NUL in an extension', '5;a\0\r\nhello\r\n0\r\n\r\n'],
    ['a space before an extension', '5 ;a\r\nhello\r\n0\r\n\r\n'],
    ['an extension without a name', '5;\r\nhello\r\n0\r\n\r\n'],
    ['an unclosed quote in an extension', '5;a="b\r\nhello\r\n0\r\n\r\n'],
    ['a folded trailer', '5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n'],
    ['a trailer without a name', '5\r\nhello\r\n0\r\n: a\r\n\r\n'],
    ['a trailer with NUL', '5\r\nhello\r\n0\r\nX: \0\r\n\r\n'],
    ['a trailer that ends in LF', '5\r\nhello\r\n0\r\nX: a\n\r\n'],
  ].map(([name, chunks]): Probe => [name as string, CHUNKED + chunks, 400]),
]);

refuses('what nobody would read costs no memory and no time: extensions and trailers have a bound', [
  ['an extension of a megabyte', `${CHUNKED}5;a=${'x'.repeat(1 << 20)}\r\nhello\r\n0\r\n\r\n`, 400],
  ['a megabyte of extensions', `${CHUNKED}${`1;${'x'.repeat(1000)}\r\nx\r\n`.repeat(1000)}0\r\n\r\n`, 400],
  ['a trailer of a megabyte', `${CHUNKED}0\r\nX: ${'x'.repeat(1 << 20)}\r\n\r\n`, 400],
  ['ten thousand trailers', `${CHUNKED}0\r\n${'X: a\r\n'.repeat(10_000)}\r\n`, 400],
]);

refuses('a head that is too long is refused: 414, or 400 with nginx’s words for it', [
  ['a URI of 9 kB', `GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ['a URI of 33 kB', `GET /${'x'.repeat(33_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ['a URI that never ends', `GET /${'x'.repeat(200_000)}`, 414],
  ['a field of 9 kB', withFields(`X: ${'x'.repeat(9000)}`), 400],
  ['a field that never ends', `${HEAD}X: ${'x'.repeat(200_000)}`, 400],
  ['a name that never ends', `${HEAD}${'x'.repeat(200_000)}`, 400],
  ['2000 fields', withFields(...Array.from({ length: 2000 }, (_, i) => `X-${i}: a`)), 400],
  ['40 kB of fields', withFields(...Array.from({ length: 40 }, (_, i) => `X-${i}: ${'x'.repeat(1000)}`)), 400],
]);

test('the page for a head that is too long says so', async (t) => {
  const attacked = await attackedGateway(t);
  const { text } = await attacked.send(withFields(`Cookie: ${'x'.repeat(9000)}`));
  assert.match(text, /<title>400 Request Header Or Cookie Too Large<\/title>/);
});

test('what follows a refused request is not executed, however late it comes', async (t) => {
  const attacked = await attackedGateway(t);
  const client = await attacked.connect();
  client.send(withFields('Content-Length: 1', 'Content-Length: 1'));
  await client.untilEnded();
  client.send(NEXT);
  client.send(NEXT);
  client.socket.end();
  await client.untilClosed();
  assert.equal(client.answers.length, 1);
  assert.equal(attacked.backend.bytes, 0);
  await attacked.isAlive();
});

test('chunks that break after a part of the body has been passed on: the backend never sees an end of the body', async (t) => {
  const attacked = await attackedGateway(t, {
    server: 'location / { proxy_pass http://backend; proxy_request_buffering off; }',
    behaviour: () => undefined,
  });
  const client = await attacked.connect();
  client.send(`${CHUNKED}5\r\nhello\r\n`);
  await attacked.backend.until(
    'the first chunk',
    () => attacked.backend.connections[0]?.text.includes('hello') === true,
  );
  client.send(`5 \r\nworld\r\n0\r\n\r\n${NEXT}`);
  assert.equal((await client.answer()).status, 400);
  await client.untilEnded();
  await attacked.backend.until(
    'the close',
    () => attacked.backend.connections[0]?.closed === true || attacked.backend.connections[0]?.ended === true,
  );
  assert.match(attacked.backend.connections[0]?.text ?? '', /\r\n\r\n5\r\nhello\r\n$/);
  await attacked.isAlive();
});

test('what is framed to the letter passes, and reaches the backend framed anew: no extension, no chunk of the client', async (t) => {
  const attacked = await attackedGateway(t);
  const chunks = '5;a=b;c="d\\"e"\r\nhello\r\n00000000000006\r\n world\r\n0;last\r\nX-Trailer: a\r\n\r\n';
  const client = await attacked.connect();
  client.send(CHUNKED.replace('chunked', 'CHUNKED') + chunks + NEXT);
  assert.equal((await client.answer(2)).status, 200);
  const [first, second] = attacked.backend.requests;
  assert.equal(fieldOf(first as NonNullable<typeof first>, 'content-length'), '11');
  assert.equal(fieldOf(first as NonNullable<typeof first>, 'transfer-encoding'), undefined);
  assert.equal(first?.body.toString(), 'hello world');
  assert.equal(second?.startLine, 'GET /smuggled HTTP/1.1');
  assert.doesNotMatch(attacked.backend.connections.map(({ text }) => text).join(''), /a=b|last|X-Trailer/);
});

test('lines of a head may end in LF alone; the backend gets CRLF', async (t) => {
  const attacked = await attackedGateway(t);
  const client = await attacked.send('GET /lf HTTP/1.1\nHost: a\nX-One: 1\nConnection: close\n\n');
  assert.equal(client.answers[0]?.status, 200);
  const { text } = await attacked.backend.connection();
  assert.match(text, /X-One: 1\r\n/);
  assert.doesNotMatch(text, /[^\r]\n/);
});

test('the target names the host, and Host says otherwise: the backend gets one consistent answer to whom is asked', async (t) => {
  const attacked = await attackedGateway(t, {
    server:
      'location / { proxy_pass http://backend; proxy_set_header Host $http_host; proxy_set_header X-Host $host; }',
  });
  const client = await attacked.send(
    'GET http://Real.example:8080/x?y HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n',
  );
  assert.equal(client.answers[0]?.status, 200);
  const request = await attacked.backend.request();
  assert.equal(request.startLine, 'GET /x?y HTTP/1.1');
  assert.deepEqual(
    request.fields.filter((field) => /host/i.test(field)),
    ['Host: Real.example:8080', 'X-Host: real.example'],
  );
});

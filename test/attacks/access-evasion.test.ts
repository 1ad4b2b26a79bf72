// Evasion of access rules: the same place, written in another way. A rule of a location holds for every spelling of its URIs, in plain
// requests and in upgrades alike, or the spelling is refused; whatever does reach the backend is no spelling of what is forbidden.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { answerOf } from '../support/raw-http.ts';
import type { Behaviour } from '../support/recording-backend.ts';
import { OK } from '../support/recording-backend.ts';
import { attackedGateway, UPGRADE } from './attacked-gateway.ts';

/** Spellings of `/admin/x`, `$` being the name of the location. */
const SPELLINGS = [
  '/$/x',
  '//$/x',
  '///$//x',
  '/./$/x',
  '/$/./x',
  '/open/../$/x',
  '/$/y/../x',
  '/%2e/$/x',
  '/open/%2e%2e/$/x',
  '/open/.%2E/$/x',
  '/open%2f..%2f$/x',
  '/%2f$/x',
  '/$%2fx',
  '/%2F%2f$%2F%2fx',
  '/$/%78',
  '/$/x?',
  '/$/x?/../../open',
  '/$/x#/../../open',
  '/$/x%3f/open',
  '/$/x%23/open',
  '/$;a=b/x',
  '/$\\x',
  '/$%5cx',
  '/$%5c..%5copen',
  '/$/%2500',
];

/** Percent-encodes each letter of the name. */
const encoded = (name: string): string =>
  Array.from(name, (letter) => `%${letter.charCodeAt(0).toString(16)}`).join('');

const WEBSOCKET = [
  'Connection: Upgrade, close',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

const request = (target: string, fields: readonly string[], host = 'a'): string =>
  [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n');

const WAYS: readonly [way: string, fields: readonly string[]][] = [
  ['a plain request', ['Connection: close']],
  ['an upgrade', WEBSOCKET],
];

/** The backend would answer anything; only what asks for permission is told no. */
const refuses: Behaviour = ({ startLine }) =>
  startLine.includes('/permission') ? 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n' : OK;

const RULES: readonly [rule: string, location: string][] = [
  ['deny', 'location /admin { deny all; proxy_pass http://backend; }'],
  ['return', 'location ^~ /admin { return 403; }'],
  ['a regular expression', 'location ~ ^/admin { deny all; proxy_pass http://backend; }'],
  ['auth_basic', 'location /admin { auth_basic x; auth_basic_user_file passwords; proxy_pass http://backend; }'],
  ['auth_request', 'location /admin { auth_request /permission; proxy_pass http://backend; }'],
  ['an if of the server', 'if ($uri ~ ^/admin) { return 403; }'],
];

for (const [rule, location] of RULES) {
  for (const [way, fields] of WAYS) {
    test(`no spelling of the URI gets ${way} past ${rule}`, async (t) => {
      const attacked = await attackedGateway(t, {
        server: `
          ${location}
          location = /permission { internal; proxy_pass http://backend; }
          location / { proxy_pass http://backend; ${UPGRADE} }`,
        files: { passwords: 'nobody:{PLAIN}x\n' },
        behaviour: refuses,
      });
      for (const name of ['admin', encoded('admin'), '%61dmin']) {
        for (const spelling of SPELLINGS) {
          const target = spelling.replace('$', name);
          for (const whole of [target, `http://a${target}`, `HTTP://other:80${target}`]) {
            const { text } = await attacked.send(request(whole, fields));
            assert.match(text, /^HTTP\/1\.1 (?:40[013]) /, whole);
          }
        }
      }
      const reached = attacked.backend.connections.flatMap(({ requests }) => requests);
      assert.deepEqual(
        reached.filter(({ startLine }) => !startLine.startsWith('GET /permission ')),
        [],
      );
      await attacked.isAlive();
    });
  }
}

test('a spelling that leads above the root, or is none, is refused', async (t) => {
  const attacked = await attackedGateway(t);
  for (const target of [
    '/../admin',
    '/%2e%2e/admin',
    '/a/../../admin',
    '/admin%',
    '/admin%2',
    '/admin%zz',
    '/%00admin',
    'admin',
    '*',
  ]) {
    const { text } = await attacked.send(request(target, ['Connection: close']));
    assert.match(text, /^HTTP\/1\.1 400 /, target);
  }
  assert.deepEqual(
    attacked.backend.connections.flatMap(({ requests }) => requests),
    [],
  );
});

test('upper case is another place, unless the rule says otherwise', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      location /admin { deny all; }
      location ~* ^/secret { deny all; }
      location / { proxy_pass http://backend; }`,
  });
  const statusOf = async (target: string) =>
    (await attacked.send(request(target, ['Connection: close']))).text.slice(9, 12);
  assert.deepEqual(
    [await statusOf('/ADMIN'), await statusOf('/SECRET'), await statusOf('/%53ecret')],
    ['200', '403', '403'],
  );
});

test('an internal location is not reached by any spelling', async (t) => {
  const attacked = await attackedGateway(t, {
    server: 'location /inside { internal; proxy_pass http://backend; } location / { return 200 outside; }',
  });
  for (const target of ['/inside', '//inside/', '/./inside', '/%69nside', '/a/..%2finside', 'http://a/inside']) {
    const { text } = await attacked.send(request(target, ['Connection: close']));
    assert.match(text, /^HTTP\/1\.1 404 /, target);
  }
});

test('the rules are those of the server that is asked for, whatever name the TLS handshake had', async (t) => {
  const attacked = await tlsServers(t);
  const ask = async (servername: string, head: string): Promise<string> => {
    const port = attacked.gateway.port('127.0.0.1:8443');
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    socket.write(head);
    await once(socket, 'close');
    return answerOf(Buffer.concat(chunks)).text;
  };
  const close = ['Connection: close'];
  assert.equal(await ask('open.example', request('/', close, 'open.example')), 'open');
  for (const fields of [close, WEBSOCKET]) {
    for (const name of ['open.example', 'closed.example']) {
      assert.match(await ask(name, request('/', fields, 'closed.example')), /403 Forbidden/, name);
      assert.match(await ask(name, request('https://closed.example/', fields, 'open.example')), /403 Forbidden/, name);
      assert.match(await ask(name, request('/', fields, 'CLOSED.example.:443')), /403 Forbidden/, name);
    }
  }
});

async function tlsServers(t: TestContext) {
  const { cert, key } = await selfSignedCertificate({ names: ['open.example', 'closed.example'] });
  const tls = 'ssl_certificate own.crt; ssl_certificate_key own.key;';
  return attackedGateway(t, {
    http: `
      server { listen 127.0.0.1:8443 ssl; server_name open.example; ${tls} return 200 open; }
      server { listen 127.0.0.1:8443 ssl; server_name closed.example; ${tls} location / { deny all; } }`,
    files: { 'own.crt': cert, 'own.key': key },
  });
}

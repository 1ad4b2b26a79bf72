// auth_basic: every form of password that a user file may hold, what is asked and of whom, and what others see of a client that has named itself.

import assert from 'node:assert/strict';
import { renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask, type RawAnswer } from '../support/raw-http.ts';
import { OK, startBackend } from '../support/recording-backend.ts';

/** "good" in each of them, but "U*U" in `bcrypt`. */
const PASSWORDS = `# by whom: nobody
plain:{PLAIN}good
sha:{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs=
ssha:{SSHA}gVPFKSVobQnEn8GpYtM9nr/+TGdzYWx0
apr1:$apr1$saltsalt$.summ4FBEjnqpWnjJNp7g/
md5:$1$saltsalt$1MQUU1ezMItRLsMHIumtN1
sha256:$5$saltsalt$CrM5J9bXng9e4JV6QswJFbHuXgNmZcl03uWpWruFdL.
sha512:$6$saltsalt$tvNwrYsLeJNmnd1mv9Q9Cmptu3hZMD//oA1pvMy99AU5ZDlCDttOYpCJq1x/gE95vRHP9RtCKwL4hHmXoXP/j.
bcrypt:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW
des:sa4EQlvRoTMww
twice:{PLAIN}first
twice:{PLAIN}second
empty:
`;
const USERS = ['plain', 'sha', 'ssha', 'apr1', 'md5', 'sha256', 'sha512', 'des'];

async function start(t: TestContext, server: string, files: Record<string, string> = {}): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `
      log_format told '$status [$remote_user]';
      access_log logs/access.log told;
      auth_basic_user_file passwords;
      server { listen 127.0.0.1:8080; ${server} }`,
    files: { passwords: PASSWORDS, 'html/page': 'a page', ...files },
  });
  t.after(() => gateway.stop());
  return gateway;
}

const as = (user: string, password: string): string => `Authorization: Basic ${btoa(`${user}:${password}`)}`;
const at = (gateway: RunningGateway, path: string, ...fields: string[]): Promise<RawAnswer> =>
  ask(gateway.port(), `GET ${path}`, ...fields);
const statusOf = async (gateway: RunningGateway, path: string, ...fields: string[]): Promise<number> =>
  (await at(gateway, path, ...fields)).status;

test('a user gets in with the password, in whatever form it is stored, and with no other', async (t) => {
  const gateway = await start(t, 'auth_basic x;');
  for (const user of USERS) {
    assert.equal(await statusOf(gateway, '/page', as(user, 'good')), 200, user);
    for (const wrong of ['Good', 'goo', ''])
      assert.equal(await statusOf(gateway, '/page', as(user, wrong)), 401, `${user} with "${wrong}"`);
  }
  assert.equal(await statusOf(gateway, '/page', as('bcrypt', 'U*U')), 200);
  assert.equal(await statusOf(gateway, '/page', as('bcrypt', 'U*')), 401);
});

test('of two lines of one user the first counts; a line without a password lets nobody in', async (t) => {
  const gateway = await start(t, 'auth_basic x;');
  assert.equal(await statusOf(gateway, '/page', as('twice', 'first')), 200);
  assert.equal(await statusOf(gateway, '/page', as('twice', 'second')), 401);
  assert.equal(await statusOf(gateway, '/page', as('empty', '')), 401);
});

test('credentials that are none, or of another scheme, are asked for again; the scheme may be written in any case', async (t) => {
  const gateway = await start(t, 'auth_basic x;');
  const token = btoa('plain:good');
  for (const field of [
    `Bearer ${token}`,
    'Basic',
    `Basic${token}`,
    `Basic ${btoa('plain')}`,
    `Basic ${btoa(':good')}`,
  ]) {
    const { status, headers } = await at(gateway, '/page', `Authorization: ${field}`);
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="x"'], field);
  }
  assert.equal(await statusOf(gateway, '/page', `Authorization: bASIC ${token}`), 200);
});

test('a realm has its variables filled in, and one that becomes "off" asks for nothing', async (t) => {
  const gateway = await start(t, 'auth_basic "$arg_realm";');
  const { status, headers } = await at(gateway, '/page?realm=one');
  assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="one"']);
  assert.equal(await statusOf(gateway, '/page?realm=off'), 200);
});

test('an inner location has the realm and the file from above, or its own, or is open', async (t) => {
  const gateway = await start(
    t,
    `auth_basic outer;
     location / {
       location /taken/ { alias html/; }
       location /realm/ { auth_basic inner; alias html/; }
       location /file/ { auth_basic_user_file others; alias html/; }
       location /open/ { auth_basic off; alias html/; location /open/not/ { auth_basic again; alias html/; } }
     }`,
    { others: 'other:{PLAIN}o\n' },
  );
  const realmOf = async (path: string): Promise<string | undefined> =>
    (await at(gateway, path)).headers.get('www-authenticate');
  assert.equal(await realmOf('/taken/page'), 'Basic realm="outer"');
  assert.equal(await realmOf('/realm/page'), 'Basic realm="inner"');
  assert.equal(await realmOf('/open/not/page'), 'Basic realm="again"');
  assert.equal(await statusOf(gateway, '/open/page'), 200);
  assert.equal(await statusOf(gateway, '/taken/page', as('plain', 'good')), 200);
  assert.equal(await statusOf(gateway, '/file/page', as('plain', 'good')), 401);
  assert.equal(await statusOf(gateway, '/file/page', as('other', 'o')), 200);
});

test('who may not come learns nothing of what is there', async (t) => {
  const gateway = await start(t, 'auth_basic x;');
  const [there, missing] = [await at(gateway, '/page'), await at(gateway, '/none')];
  assert.deepEqual([there.status, missing.status], [401, 401]);
  assert.equal(there.text, missing.text);
  assert.equal(await statusOf(gateway, '/none', as('plain', 'good')), 404);
  const { status, headers } = await ask(gateway.port(), 'HEAD /page');
  assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="x"']);
});

test('a change of the file holds from the next request on', async (t) => {
  const gateway = await start(t, 'auth_basic x;');
  assert.equal(await statusOf(gateway, '/page', as('new', 'n')), 401);
  writeFileSync(join(gateway.prefix, 'passwords'), 'new:{PLAIN}n\n');
  assert.equal(await statusOf(gateway, '/page', as('new', 'n')), 200);
  assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 401);
});

test('a file that cannot be read is a 500 and a line at [crit], and is not looked for until somebody names himself', async (t) => {
  const gateway = await start(t, 'auth_basic x; auth_basic_user_file html;');
  assert.equal(await statusOf(gateway, '/page'), 401);
  assert.ok(!gateway.lines().some((line) => line.includes('[crit]')));
  assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 500);
  assert.match(
    gateway.read('logs/error.log'),
    /\[crit\] .*".*\/html" failed \(21: Is a directory\), client: 127\.0\.0\.1/,
  );
});

test('the user is in the access log whether let in or not, and the backend is told the credentials', async (t) => {
  const backend = await startBackend(t);
  const gateway = await start(t, `auth_basic x; location / { proxy_pass http://${backend.address}; }`);
  await at(gateway, '/', as('plain', 'good'));
  await at(gateway, '/', as('plain', 'bad'));
  await at(gateway, '/');
  assert.deepEqual(gateway.lines('logs/access.log'), ['200 [plain]', '401 [plain]', '401 [-]']);
  assert.equal(backend.requests.length, 1);
  assert.equal(fieldOf(await backend.request(), 'authorization'), `Basic ${btoa('plain:good')}`);
});

test('a handshake needs the password as any request does', async (t) => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const backend = await startBackend(t, (request) =>
    fieldOf(request, 'upgrade') === undefined
      ? OK
      : `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`,
  );
  const gateway = await start(
    t,
    `auth_basic x; location / { proxy_pass http://${backend.address}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
  );
  const client = await RawClient.to(t, gateway.port());
  const handshake = (...fields: string[]): string =>
    [
      'GET / HTTP/1.1',
      'Host: a',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key}`,
      ...fields,
      '',
      '',
    ].join('\r\n');
  client.send(handshake());
  assert.equal((await client.answer()).status, 401);
  client.send(handshake(as('sha512', 'good')));
  assert.equal((await client.answer(2)).status, 101, 'on the same connection');
});

test('a file of users that has been read counts as it is at each request: overwritten, replaced, gone, back', async (t) => {
  const gateway = await start(t, 'auth_basic x;', { other: 'plain:{PLAIN}best\n' });
  const path = join(gateway.prefix, 'passwords');
  // Its text is kept only where it has not just been written: ctime cannot be set, so the test waits for it.
  const settled = statSync(path).ctimeMs + 2100;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, settled - Date.now())));
  for (let i = 0; i < 2; i++) assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 200);
  const before = statSync(path);
  writeFileSync(path, PASSWORDS.replace('good', 'evil'));
  utimesSync(path, before.atime, before.mtime);
  assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 401, 'the same size and mtime, another text');
  assert.equal(await statusOf(gateway, '/page', as('plain', 'evil')), 200);
  writeFileSync(path, PASSWORDS);
  assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 200, 'changed twice within a moment');
  renameSync(path, `${path}.away`);
  assert.equal(await statusOf(gateway, '/page', as('plain', 'good')), 403);
  renameSync(join(gateway.prefix, 'other'), path);
  assert.equal(await statusOf(gateway, '/page', as('plain', 'best')), 200);
});

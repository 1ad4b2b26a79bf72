// allow, deny, auth_basic and satisfy: who gets in.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

const SOCKET = join(tmpdir(), `sockgate-access-${process.pid}.sock`);

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      default_type text/plain;
      root html;
      deny 10.0.0.0/8;
      set_real_ip_from 127.0.0.0/8;
      server {
        listen 127.0.0.1:8080;
        location /inherited { }
        location /own { allow 10.1.0.0/16; deny all; }
        location /order { allow all; deny all; }
        location /v6 { allow 2001:db8::/32; deny ::/0; }
        location /mapped { deny 192.0.2.1; allow all; }
        location /unix { allow unix:; deny all; }
        location /nested { deny 192.0.2.0/24; location /nested/free { allow 192.0.2.7; } }
        location /methods { allow all; limit_except GET { deny all; } }

        location /basic {
          auth_basic "the realm of $host"; auth_basic_user_file passwords;
          location /basic/off { auth_basic off; }
          location /basic/page { error_page 401 /401.txt; }
        }
        location /file-of-user { auth_basic x; auth_basic_user_file $arg_file; }
        location /both {
          allow 192.0.2.0/24; deny all; auth_basic x; auth_basic_user_file passwords;
          location /both/any { satisfy any; }
        }
        location /delayed { auth_delay 50ms; auth_basic x; auth_basic_user_file passwords; }
        location /delayed-any { satisfy any; auth_delay 50ms; auth_basic x; auth_basic_user_file passwords; deny all; }
        location /long-delay { auth_delay 1h; auth_basic x; auth_basic_user_file passwords; }
        location /any-denied { satisfy any; deny all; }
        location = /401.txt { auth_basic off; }
      }
      server { listen unix:${SOCKET}; location /unix { allow unix:; deny all; } location /no { deny unix:; } }`,
    files: {
      passwords:
        '# plain: no\nplain:{PLAIN}secret:a comment\r\nother:{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs=\nslow:$2y$04$CCCCCCCCCCCCCCCCCCCCC.\n',
      ...Object.fromEntries(
        [
          'inherited',
          'own',
          'order',
          'v6',
          'mapped',
          'unix',
          'nested/free',
          'nested/x',
          'methods',
          'basic/a',
          'basic/off',
          'basic/page',
          'file-of-user',
          'both/all',
          'both/any',
          'delayed',
          'delayed-any',
          'any-denied',
        ].map((name) => [`html/${name}`, name]),
      ),
      'html/401.txt': 'who are you?',
      'html/no': 'no',
    },
  });
});

after(() => gateway.stop());

const from = (address: string) => `X-Real-IP: ${address}`;
const as = (user: string, password: string) => `Authorization: Basic ${btoa(`${user}:${password}`)}`;
const statusOf = async (path: string, ...fields: string[]) =>
  (await ask(gateway.port('127.0.0.1:8080'), `GET ${path}`, ...fields)).status;

describe('allow and deny', () => {
  test('let the first rule decide that fits', async () => {
    assert.equal(await statusOf('/inherited', from('10.1.2.3')), 403);
    assert.equal(await statusOf('/inherited', from('11.1.2.3')), 200, 'no rule fits');
    assert.equal(await statusOf('/order', from('10.1.2.3')), 200);
    assert.match(gateway.read('logs/error.log'), /\[error\] .*access forbidden by rule, client: 10\.1\.2\.3/);
  });

  test('replace the rules of the level above, both together', async () => {
    assert.equal(await statusOf('/own', from('10.1.2.3')), 200);
    assert.equal(await statusOf('/own', from('10.2.2.3')), 403);
    assert.equal(await statusOf('/nested/x', from('192.0.2.8')), 403);
    assert.equal(await statusOf('/nested/free', from('192.0.2.8')), 200);
  });

  test('know networks of IPv6, and IPv4 addresses in its clothes', async () => {
    assert.equal(await statusOf('/v6', from('2001:db8:1::1')), 200);
    assert.equal(await statusOf('/v6', from('2001:db9::1')), 403);
    assert.equal(await statusOf('/mapped', from('::ffff:192.0.2.1')), 403);
    assert.equal(await statusOf('/mapped', from('192.0.2.1')), 403);
  });

  test('know whoever comes over a unix socket', async () => {
    assert.equal(await statusOf('/unix', from('192.0.2.1')), 403);
    assert.equal(await overUnix('/unix'), 200);
    assert.equal(await overUnix('/no'), 403);
  });

  test('may stand in limit_except', async () => {
    assert.equal(await statusOf('/methods'), 200);
    assert.equal((await ask(gateway.port('127.0.0.1:8080'), 'POST /methods')).status, 403);
  });
});

function overUnix(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(SOCKET);
    socket.on('error', reject);
    socket.once('data', (bytes) => {
      resolve(Number(bytes.toString().split(' ')[1]));
      socket.destroy();
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  });
}

describe('auth_basic', () => {
  test('asks for a name and a password of the file', async () => {
    const { status, headers } = await ask(gateway.port('127.0.0.1:8080'), 'GET /basic/a', 'Host: a.example');
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="the realm of a.example"']);
    assert.equal(await statusOf('/basic/a', as('plain', 'secret')), 200);
    assert.equal(await statusOf('/basic/a', as('other', 'good')), 200);
    assert.equal(await statusOf('/basic/a', as('plain', 'secre')), 401);
    assert.equal(await statusOf('/basic/a', as('# plain', ' no')), 401);
    assert.equal(await statusOf('/basic/a', as('slow', 'wrong')), 401);
    assert.equal(await statusOf('/basic/a', 'Authorization: Basic ?'), 401);
  });

  test('tells in the error log who failed, and no password', async () => {
    await statusOf('/basic/a', as('plain', 'hunter2'));
    await statusOf('/basic/a', as('nobody', 'hunter2'));
    const log = gateway.read('logs/error.log');
    assert.match(log, /user "plain": password mismatch, client/);
    assert.match(log, /user "nobody" was not found in "[^"]*\/passwords", client/);
    assert.doesNotMatch(log, /hunter2/);
  });

  test('is turned off by off, and its 401 may have a page', async () => {
    assert.equal(await statusOf('/basic/off'), 200);
    const { status, headers, text } = await ask(gateway.port('127.0.0.1:8080'), 'GET /basic/page');
    assert.deepEqual([status, text], [401, 'who are you?']);
    assert.equal(headers.get('www-authenticate'), 'Basic realm="the realm of localhost"');
  });

  test('answers 403 where the file is not there, 500 where it cannot be read', async () => {
    assert.equal(await statusOf('/file-of-user?file=none', as('a', 'b')), 403);
    assert.equal(await statusOf(`/file-of-user?file=${join(gateway.prefix, 'html')}`, as('a', 'b')), 500);
    assert.equal(await statusOf('/file-of-user?file=passwords', as('plain', 'secret')), 200);
  });
});

describe('satisfy', () => {
  test('all needs the address and the password', async () => {
    assert.equal(await statusOf('/both/all', from('192.0.2.1'), as('plain', 'secret')), 200);
    assert.equal(await statusOf('/both/all', from('192.0.2.1')), 401);
    assert.equal(await statusOf('/both/all', from('198.51.100.1'), as('plain', 'secret')), 403);
  });

  test('any needs one of them, and asks for the password', async () => {
    assert.equal(await statusOf('/both/any', from('192.0.2.1')), 200);
    assert.equal(await statusOf('/both/any', from('198.51.100.1'), as('plain', 'secret')), 200);
    const { status, headers } = await ask(gateway.port('127.0.0.1:8080'), 'GET /both/any', from('198.51.100.1'));
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="x"']);
    assert.equal(await statusOf('/any-denied'), 403);
  });
});

describe('auth_delay', () => {
  test('holds a 401 back, and nothing else', async () => {
    const began = performance.now();
    assert.equal(await statusOf('/delayed'), 401);
    assert.equal(await statusOf('/delayed-any'), 401);
    assert.ok(performance.now() - began >= 100);
    assert.equal(await statusOf('/delayed', as('plain', 'secret')), 200);
    assert.match(gateway.read('logs/error.log'), /delaying unauthorized request/);
  });

  test('forgets a client that does not wait', async () => {
    const socket = connect(gateway.port('127.0.0.1:8080'), '127.0.0.1');
    socket.write('GET /long-delay HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the refusal is held back', () =>
      gateway.lines().some((line) => line.includes('delaying') && line.includes('/long-delay')),
    );
    socket.destroy();
    assert.equal(await statusOf('/inherited'), 200);
  });
});

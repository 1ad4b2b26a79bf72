// proxy_ssl_certificate and its like: what we show to the upstream, from files, variables and caches, and what we demand of it.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { certificateAuthority, revocationList, signedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;
let peer: Server;
let certificates: Record<'one' | 'two', { cert: string; key: string }>;

before(async () => {
  const authority = await certificateAuthority();
  const [one, two] = await Promise.all(['one', 'two'].map((name) => signedCertificate({ names: [name] })));
  certificates = { one, two } as typeof certificates;
  const locked = createPrivateKey((one as { key: string }).key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opens' })
    .toString();
  const server = await signedCertificate({ names: ['peer.test'], serial: 4711 });
  peer = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const socket = request.socket as TLSSocket;
    const subject = socket.getPeerCertificate().subject?.CN;
    response.end([subject ?? 'nobody', socket.getProtocol(), socket.isSessionReused() ? 'resumed' : 'new'].join(' '));
  });
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const pass = `proxy_pass https://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  const verify = 'proxy_ssl_verify on; proxy_ssl_trusted_certificate authority.crt; proxy_ssl_name peer.test';
  gateway = await gatewayFromConfig({
    files: {
      'authority.crt': authority.cert,
      'none-revoked.crl': await revocationList([]),
      'revoked.crl': await revocationList([4711]),
      ...filesOf('one', one),
      ...filesOf('two', two),
      ...filesOf('changing', one),
      'locked.crt': one?.cert ?? '',
      'locked.key': locked,
      passwords: '\nwrong\nopens\n',
    },
    http: `
      access_log off;
      proxy_ssl_session_reuse off;
      map $arg_c $inline { one "data:${one?.cert}"; }
      map $arg_c $inline_key { one "data:${one?.key}"; }
      server {
        listen 127.0.0.1:8080;
        location /fixed { proxy_ssl_certificate one.crt; proxy_ssl_certificate_key one.key; ${pass}; }
        location /locked { proxy_ssl_certificate locked.crt; proxy_ssl_certificate_key locked.key; proxy_ssl_password_file passwords; ${pass}; }
        location /override {
          proxy_ssl_certificate one.crt; proxy_ssl_certificate_key one.key;
          proxy_ssl_conf_command Certificate two.crt; proxy_ssl_conf_command PrivateKey two.key; ${pass};
        }
        location /old { proxy_ssl_conf_command MaxProtocol TLSv1.2; ${pass}; }
        location /data { proxy_ssl_certificate $inline; proxy_ssl_certificate_key $inline_key; ${pass}; }
        location /variable {
          proxy_ssl_certificate $arg_c.crt; proxy_ssl_certificate_key $arg_c.key; ${pass};
          location /variable/with-password { proxy_ssl_password_file passwords; ${pass}; }
          location /variable/none { proxy_ssl_certificate ""; ${pass}; }
          location /variable/cached { proxy_ssl_certificate_cache max=2; ${pass}; }
        }
        location /good { ${verify}; proxy_ssl_crl none-revoked.crl; ${pass}; }
        location /revoked { ${verify}; proxy_ssl_crl revoked.crl; ${pass}; }
        location /keys { proxy_ssl_key_log logs/keys.log; ${pass}; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  peer.close();
  peer.closeAllConnections();
});

function filesOf(name: string, made: { cert: string; key: string } | undefined): Record<string, string> {
  return { [`${name}.crt`]: made?.cert ?? '', [`${name}.key`]: made?.key ?? '' };
}

function replace(name: string, { cert, key }: { cert: string; key: string }): void {
  for (const [path, text] of Object.entries(filesOf(name, { cert, key }))) {
    writeFileSync(join(gateway.prefix, `${path}.new`), text);
    renameSync(join(gateway.prefix, `${path}.new`), join(gateway.prefix, path));
  }
}

const get = async (path: string) => ask(gateway.port(), `GET ${path}`);
const seen = async (path: string) => (await get(path)).text.split(' ')[0];
const logged = (text: string): boolean => gateway.lines().some((line) => line.includes(text));

describe('the certificate that the upstream is shown', () => {
  test('is that of proxy_ssl_certificate; its key may be locked by one of the passwords', async () => {
    assert.equal(await seen('/fixed'), 'one');
    assert.equal(await seen('/locked'), 'one');
    assert.equal(await seen('/old'), 'nobody');
  });

  test('is taken back by an empty name', async () => {
    assert.equal(await seen('/variable/none'), 'nobody');
  });

  test('is another one by proxy_ssl_conf_command', async () => {
    assert.equal(await seen('/override'), 'two');
  });
});

describe('a certificate that variables name', () => {
  test('is read for the request', async () => {
    assert.equal(await seen('/variable?c=one'), 'one');
    assert.equal(await seen('/variable?c=two'), 'two');
  });

  test('is read anew for each request without a cache', async () => {
    assert.equal(await seen('/variable?c=changing'), 'one');
    replace('changing', certificates.two);
    assert.equal(await seen('/variable?c=changing'), 'two');
  });

  test('is kept by proxy_ssl_certificate_cache', async () => {
    replace('changing', certificates.one);
    assert.equal(await seen('/variable/cached?c=changing'), 'one');
    replace('changing', certificates.two);
    assert.equal(await seen('/variable/cached?c=changing'), 'one');
    assert.equal(await seen('/variable/cached?c=one'), 'one');
    assert.equal(await seen('/variable/cached?c=changing'), 'two', 'it has made room for another one');
  });

  test('may be the PEM itself', async () => {
    assert.equal(await seen('/data?c=one'), 'one');
    assert.equal(await seen('/data'), 'nobody');
  });

  test('that cannot be read is a 500, and the log says why', async () => {
    assert.equal((await get('/variable?c=missing')).status, 500);
    assert.ok(logged(`cannot load certificate "${gateway.prefix}/missing.crt": open() "`));
    assert.equal((await get('/variable?c=locked')).status, 500);
    assert.ok(logged('it is encrypted, and there is no password file'));
    assert.equal(await seen('/variable/with-password?c=locked'), 'one');
  });
});

test('proxy_ssl_crl refuses an upstream whose certificate was revoked', async () => {
  assert.equal((await get('/good')).status, 200);
  assert.equal((await get('/revoked')).status, 502);
  assert.ok(logged('upstream SSL certificate verify error: (23:certificate revoked)'));
});

test('proxy_ssl_conf_command sets protocols', async () => {
  assert.match((await get('/old')).text, / TLSv1\.2 /);
});

test('proxy_ssl_key_log has the keys of a connection', async () => {
  assert.equal((await get('/keys')).status, 200);
  assert.match(gateway.read('logs/keys.log'), /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]+ [0-9a-f]+$/m);
});

// TLS towards clients: which certificate and which rules a name gets, and how sessions are resumed.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  const files: Record<string, string> = {};
  const wishes = {
    first: { names: ['first.test'] },
    replaced: { names: ['replaced.test'], kind: 'rsa' },
    rsa: { names: ['both.test'], kind: 'rsa' },
    ecdsa: { names: ['both.test'], serial: 7 },
    old: { names: ['old.test'] },
  } as const;
  for (const [name, wish] of Object.entries(wishes)) {
    const { cert, key } = await selfSignedCertificate(wish);
    files[`tls/${name}.crt`] = cert;
    files[`tls/${name}.key`] = key;
  }
  const certificate = (name: string): string => `ssl_certificate tls/${name}.crt; ssl_certificate_key tls/${name}.key;`;
  gateway = await gatewayFromConfig({
    files,
    http: `
      access_log off;
      ssl_session_cache shared:SSL:1m;
      server {
        listen 127.0.0.1:8443 ssl;
        server_name first.test;
        ${certificate('first')}
        location / { return 200 "$server_name|$ssl_protocol|$ssl_server_name|$ssl_session_reused|$scheme|$https|$ssl_client_verify|$ssl_early_data"; }
        location /cipher { return 200 "$ssl_cipher"; }
        location /session { return 200 "$ssl_session_id"; }
        location /moved { return 301 /x; }
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name both.test *.both.test;
        ${certificate('replaced')}
        ${certificate('rsa')}
        ${certificate('ecdsa')}
        return 200 $server_name;
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name old.test;
        ${certificate('old')}
        ssl_protocols TLSv1.2;
        ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384;
        ssl_prefer_server_ciphers on;
        ssl_session_tickets off;
        ssl_ecdh_curve secp384r1;
        return 200 "$ssl_cipher|$ssl_session_reused";
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name new.test;
        ${certificate('first')}
        ssl_protocols TLSv1.3;
        return 200 $ssl_protocol;
      }
      server { listen 127.0.0.1:8443 ssl; server_name bare.test; return 200 "bare"; }
      server {
        listen 127.0.0.1:8444 ssl;
        ${certificate('first')}
        error_page 497 =301 https://$host$request_uri;
      }
    `,
  });
});

after(() => gateway.stop());

interface Asked {
  readonly text: string;
  readonly reused: boolean;
  /** The last session that the server has handed out, if any. */
  readonly session: Buffer | undefined;
}

/** The name is sent as SNI. */
function dial(name: string, options: ConnectionOptions): TLSSocket {
  const port = gateway.port('127.0.0.1:8443');
  return connect({ port, host: '127.0.0.1', servername: name, rejectUnauthorized: false, ...options });
}

/** Asks over TLS; the name is also sent as Host. */
async function over(name: string, path = '/', options: ConnectionOptions = {}): Promise<Asked> {
  const socket = dial(name, options);
  const chunks: Buffer[] = [];
  let session: Buffer | undefined;
  let reused = false;
  socket.on('secureConnect', () => {
    reused = socket.isSessionReused();
  });
  socket.on('session', (made) => {
    session = made;
  });
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close');
  const whole = Buffer.concat(chunks).toString('latin1');
  return { text: whole.slice(whole.indexOf('\r\n\r\n') + 4), reused, session };
}

async function certificateOf(name: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = dial(name, options);
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  return `${certificate?.subject} ${certificate?.publicKey.asymmetricKeyType}`;
}

async function refusal(name: string, options: ConnectionOptions): Promise<string> {
  const socket = dial(name, options);
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  return error.code ?? error.message;
}

describe('the name that a client asks for', () => {
  test('chooses the certificate and the server', async () => {
    assert.equal(await certificateOf('first.test'), 'CN=first.test ec');
    assert.match(await certificateOf('both.test'), /^CN=both.test /);
    assert.equal((await over('both.test')).text, 'both.test');
    assert.match(await certificateOf('a.both.test'), /^CN=both.test /);
  });

  test('may be unknown: the default server answers', async () => {
    assert.equal(await certificateOf('unknown.test'), 'CN=first.test ec');
    assert.match((await over('unknown.test')).text, /^first\.test\|/);
  });

  test('of a server without a certificate gets that of the default one', async () => {
    assert.equal(await certificateOf('bare.test'), 'CN=first.test ec');
    assert.equal((await over('bare.test')).text, 'bare');
  });

  test('is told by variables', async () => {
    assert.equal((await over('first.test')).text, 'first.test|TLSv1.3|first.test|.|https|on|NONE|');
    assert.equal((await over('first.test', '/cipher')).text, 'TLS_AES_256_GCM_SHA384');
  });
});

test('of several certificates each client gets the one that it can read', async () => {
  const only = (signature: string): ConnectionOptions => ({ sigalgs: signature, maxVersion: 'TLSv1.2' });
  assert.equal(await certificateOf('both.test', only('ecdsa_secp256r1_sha256')), 'CN=both.test ec');
  assert.equal(await certificateOf('both.test', only('rsa_pss_rsae_sha256')), 'CN=both.test rsa');
});

describe('protocols and ciphers', () => {
  test("are each server's own", async () => {
    assert.equal(await refusal('old.test', { minVersion: 'TLSv1.3' }), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    assert.equal(await refusal('new.test', { maxVersion: 'TLSv1.2' }), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    assert.equal((await over('new.test')).text, 'TLSv1.3');
  });

  test('are chosen in our order where ssl_prefer_server_ciphers says so', async () => {
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
    assert.match((await over('old.test', '/', { ciphers })).text, /^ECDHE-ECDSA-AES128-GCM-SHA256\|/);
  });

  test('have only the curves of ssl_ecdh_curve', async () => {
    assert.match(await refusal('old.test', { ecdhCurve: 'X25519' }), /HANDSHAKE_FAILURE/);
  });
});

describe('a session', () => {
  test('is resumed by its ticket', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await over('first.test', '/', { maxVersion });
      assert.match(
        (await over('first.test', '/', { maxVersion, session })).text,
        /\|first\.test\|r\|https\|/,
        maxVersion,
      );
    }
  });

  test('is not resumed at another server', async () => {
    const { session } = await over('first.test');
    assert.equal((await over('both.test', '/', { session })).reused, false);
  });

  test('is resumed from the cache with ssl_session_tickets off', async () => {
    const { session } = await over('old.test');
    assert.match((await over('old.test', '/', { session })).text, /\|r$/);
  });

  test('has an id, in hexadecimal digits', async () => {
    assert.match((await over('first.test', '/session')).text, /^[0-9a-f]{64}$/);
  });
});

test('a redirect names the scheme and the port of TLS', async () => {
  const socket = dial('first.test', {});
  socket.write('GET /moved HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  assert.match(bytes.toString('latin1'), /\r\nLocation: https:\/\/first\.test:8443\/x\r\n/);
});

describe('plain HTTP on a port for TLS', () => {
  test('is 400, with a page that says why', async () => {
    const { status, text } = await ask(gateway.port('127.0.0.1:8443'), 'GET /');
    assert.equal(status, 400);
    assert.match(text, /The plain HTTP request was sent to HTTPS port/);
  });

  test('goes through error_page 497', async () => {
    const { status, headers } = await ask(gateway.port('127.0.0.1:8444'), 'GET /a?b', 'Host: h.test');
    assert.deepEqual([status, headers.get('location')], [301, 'https://h.test/a?b']);
  });
});

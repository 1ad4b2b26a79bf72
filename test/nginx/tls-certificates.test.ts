// Which certificate a handshake is made with: by name, by variables, with a password, by a command of OpenSSL; and refused handshakes.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { clientHello } from '../support/client-hello.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { exchangeBytes } from '../support/raw-http.ts';
import { askOverTls, type TlsAnswer, type TlsQuestion } from '../support/tls-client.ts';

let gateway: RunningGateway;
const RESPONSE = Buffer.from('an OCSP response');

before(async () => {
  const files: Record<string, string | Buffer> = { passwords: 'wrong\r\n\nright\n', 'response.der': RESPONSE };
  for (const name of ['one.test', 'two.test', 'three.test']) {
    const { cert, key } = await selfSignedCertificate({ names: [name] });
    files[`${name}.crt`] = cert;
    files[`${name}.key`] = key;
  }
  const key = createPrivateKey(String(files['two.test.key']));
  files['locked.key'] = key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'right' })
    .toString();
  const certificate = (name: string): string => `ssl_certificate ${name}.crt; ssl_certificate_key ${name}.key;`;
  gateway = await gatewayFromConfig({
    files,
    http: `
      map $ssl_server_name $chosen { default one.test; deux.test two.test; absent.test absent; }
      server {
        listen 127.0.0.1:8441 ssl;
        ssl_certificate $ssl_server_name.crt;
        ssl_certificate_key $ssl_server_name.key;
        return 200 $ssl_server_name;
      }
      server {
        listen 127.0.0.1:8442 ssl;
        ssl_certificate $chosen.crt;
        ssl_certificate_key $chosen.key;
        ssl_certificate_cache max=2 valid=1d inactive=1d;
        return 200 "$chosen $scheme";
      }
      server { listen 127.0.0.1:8443 ssl; ssl_reject_handshake on; }
      server { listen 127.0.0.1:8443 ssl; server_name two.test; ${certificate('two.test')} return 200 two; }
      server { listen 127.0.0.1:8444 ssl; ${certificate('one.test')} return 200 one; }
      server { listen 127.0.0.1:8444 ssl; server_name bare.test; return 200 bare; }
      server { listen 127.0.0.1:8444 ssl; server_name closed.test; ssl_reject_handshake on; }
      server {
        listen 127.0.0.1:8445 ssl;
        ssl_certificate two.test.crt;
        ssl_certificate_key locked.key;
        ssl_password_file passwords;
        ssl_stapling on;
        ssl_stapling_file response.der;
        ssl_buffer_size 1k;
        return 200 "$ssl_ciphers|$ssl_curve|$ssl_curves|$ssl_sigalgs|$ssl_alpn_protocol";
      }
      server {
        listen 127.0.0.1:8446 ssl;
        ${certificate('one.test')}
        ssl_conf_command Certificate two.test.crt;
        ssl_conf_command PrivateKey two.test.key;
        ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;
        ssl_prefer_server_ciphers on;
        ssl_conf_command Options -ServerPreference;
        ssl_session_tickets off;
        ssl_conf_command Options SessionTicket;
        ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256;
        return 200 $ssl_cipher;
      }
    `,
  });
});

after(() => gateway.stop());

const asked = (port: number, servername: string, question: TlsQuestion = {}): Promise<TlsAnswer> =>
  askOverTls(gateway.port(`127.0.0.1:${port}`), { servername, ...question });

describe('a certificate whose name has variables', () => {
  test('is read for each handshake', async () => {
    for (const name of ['one.test', 'two.test']) {
      const { text, subject } = await asked(8441, name);
      assert.deepEqual([text, subject], [name, `CN=${name}`]);
    }
  });

  test('that cannot be read ends the handshake with an alert, and the log says which', async () => {
    const { error, status } = await asked(8441, 'absent.test');
    assert.equal(error, 'alert 80');
    assert.ok(Number.isNaN(status));
    const line = gateway.lines().find((one) => one.includes('absent.test.crt')) ?? '';
    assert.match(
      line,
      /\[error\].* cannot load certificate ".*absent\.test\.crt": open\(\) .* while SSL handshaking, client: /,
    );
  });

  test('never names a file of another folder', async () => {
    const { error } = await asked(8441, '../one.test');
    assert.equal(error, 'alert 80');
    assert.ok(!gateway.read('logs/error.log').includes('../one.test'));
  });

  test('is remembered by ssl_certificate_cache', async () => {
    const three = await selfSignedCertificate({ names: ['three.test'] });
    assert.equal((await asked(8442, 'deux.test')).subject, 'CN=two.test');
    for (const [ending, pem] of [
      ['crt', three.cert],
      ['key', three.key],
    ] as const) {
      const path = join(gateway.prefix, `two.test.${ending}`);
      renameSync(path, `${path}.old`);
      writeFileSync(path, pem);
    }
    assert.equal((await asked(8442, 'deux.test')).subject, 'CN=two.test');
    assert.equal((await asked(8441, 'two.test')).subject, 'CN=three.test');
    for (const ending of ['crt', 'key']) {
      const path = join(gateway.prefix, `two.test.${ending}`);
      renameSync(`${path}.old`, path);
    }
  });

  test('may be chosen by a map; the request has the same variables', async () => {
    const { text, subject } = await asked(8442, 'deux.test');
    assert.deepEqual([text, subject], ['two.test https', 'CN=two.test']);
    assert.equal((await asked(8442, 'absent.test')).error, 'alert 80');
  });
});

describe('ssl_reject_handshake', () => {
  test('of the default server refuses all that name no other one', async () => {
    assert.equal((await asked(8443, 'other.test')).error, 'alert 112');
    assert.equal((await asked(8443, '')).error, 'alert 112');
    assert.equal((await asked(8443, 'two.test')).text, 'two');
  });

  test('of another server refuses its name', async () => {
    assert.equal((await asked(8444, 'closed.test')).error, 'alert 112');
    assert.equal((await asked(8444, 'bare.test')).text, 'bare');
    assert.equal((await asked(8444, '')).text, 'one');
  });

  test('does not keep a client that goes on sending', async () => {
    const hello = await clientHello({ servername: 'closed.test' });
    const answer = await exchangeBytes(gateway.port('127.0.0.1:8444'), Buffer.concat([hello, Buffer.alloc(100_000)]));
    assert.deepEqual([...answer], [21, 3, 1, 0, 2, 2, 112]);
  });
});

test('a key is opened by any password of ssl_password_file', async () => {
  assert.equal((await asked(8445, 'x.test')).subject, 'CN=two.test');
});

test('what the client offers, and what was agreed, is told by variables', async () => {
  const ciphers = 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';
  const { text } = await asked(8445, 'x.test', { ciphers, ecdhCurve: 'P-384:X25519', ALPNProtocols: ['http/1.1'] });
  const [offered, curve, curves, signatures, alpn] = text.split('|');
  assert.match(
    offered ?? '',
    /^TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256(:TLS_EMPTY_RENEGOTIATION_INFO_SCSV)?$/,
  );
  assert.deepEqual([curve, curves, alpn], ['X25519', 'secp384r1:X25519', 'http/1.1']);
  assert.match(signatures ?? '', /^0x[0-9a-f]{4}(:0x[0-9a-f]{4})+$/);
});

test('a client that wants an OCSP response gets the one of ssl_stapling_file', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const port = gateway.port('127.0.0.1:8445');
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true, maxVersion };
    const socket = connect(options as ConnectionOptions);
    const response = await new Promise((resolve) => socket.once('OCSPResponse', resolve));
    assert.deepEqual(response, RESPONSE);
    socket.destroy();
  }
});

test('commands of OpenSSL go before the directives', async () => {
  const { text, subject, session } = await asked(8446, '');
  assert.deepEqual([text, subject], ['TLS_CHACHA20_POLY1305_SHA256', 'CN=two.test']);
  assert.equal((await asked(8446, '', { session })).reused, true);
  const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384';
  const old = await asked(8446, '', { ciphers, maxVersion: 'TLSv1.2' });
  assert.equal(old.text, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'the client’s order counts');
});

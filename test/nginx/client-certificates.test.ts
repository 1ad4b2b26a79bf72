// ssl_verify_client and what goes with it: who is let in, who is told why not, and what is known of a client's certificate.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import {
  type Certificate,
  certificateAuthority,
  intermediateAuthority,
  revocationList,
  selfSignedCertificate,
  signedCertificate,
} from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { askOverTls, type TlsAnswer, type TlsQuestion } from '../support/tls-client.ts';

let gateway: RunningGateway;
let good: Certificate;
let revoked: Certificate;
let stranger: Certificate;
let deep: Certificate;
let old: Certificate;
let quiet: Certificate;

const VARIABLES = [
  'verify',
  's_dn',
  'i_dn',
  's_dn_legacy',
  'i_dn_legacy',
  'serial',
  'fingerprint',
  'v_start',
  'v_end',
  'v_remain',
].map((name) => `$ssl_client_${name}`);

before(async () => {
  const root = await certificateAuthority('Root');
  const middle = await intermediateAuthority('Middle', 'Root');
  const lower = await intermediateAuthority('Lower', 'Middle');
  const other = await certificateAuthority('Quiet authority');
  const { cert, key } = await selfSignedCertificate();
  good = await signedCertificate(
    { names: ['good'], serial: 0xabc, notAfter: new Date(Date.now() + 73 * 3_600_000) },
    'Root',
  );
  revoked = await signedCertificate({ names: ['revoked'], serial: 0xdef }, 'Root');
  old = await signedCertificate({ names: ['old'], notAfter: new Date(Date.now() - 1000) }, 'Root');
  quiet = await signedCertificate({ names: ['quiet'] }, 'Quiet authority');
  stranger = await selfSignedCertificate({ names: ['stranger'] });
  const leaf = await signedCertificate({ names: ['deep'] }, 'Lower');
  deep = { cert: [leaf.cert, lower.cert, middle.cert].join('\n'), key: leaf.key };
  gateway = await gatewayFromConfig({
    files: {
      'a.crt': cert,
      'a.key': key,
      'root.crt': `${root.cert}\n${root.cert}\n`,
      'quiet.crt': other.cert,
      'root.crl': await revocationList([0xdef], 'Root'),
    },
    http: `
      ssl_certificate a.crt;
      ssl_certificate_key a.key;
      ssl_session_cache shared:SSL:1m;
      ssl_client_certificate root.crt;
      server {
        listen 127.0.0.1:8443 ssl default_server;
        server_name plain.test;
        return 200 $ssl_client_verify;
      }
      server {
        listen 127.0.0.1:8443 ssl;
        listen 127.0.0.1:8080;
        server_name on.test;
        ssl_verify_client on;
        ssl_crl root.crl;
        error_page 496 = /none;
        location / { return 200 "${VARIABLES.join('|')}"; }
        location /none { return 403 "show one"; }
        location /pem { return 200 $ssl_client_raw_cert; }
        location /escaped { return 200 $ssl_client_escaped_cert; }
        location /header { add_header X-Cert $ssl_client_cert; return 204; }
        location /session { return 200 "$ssl_session_reused $ssl_client_s_dn"; }
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name optional.test;
        ssl_verify_client optional;
        ssl_trusted_certificate quiet.crt;
        return 200 "$ssl_client_verify $ssl_client_s_dn";
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name any.test;
        ssl_verify_client optional_no_ca;
        return 200 "$ssl_client_verify $ssl_client_s_dn";
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name deep.test;
        ssl_verify_client on;
        ssl_verify_depth 2;
        return 200 $ssl_client_verify;
      }
      server {
        listen 127.0.0.1:8443 ssl;
        server_name shallow.test;
        ssl_verify_client on;
        ssl_verify_depth 1;
        return 200 $ssl_client_verify;
      }
      server {
        listen 127.0.0.1:8444 ssl;
        server_name first.test;
        ssl_verify_client on;
        return 200 first;
      }
      server {
        listen 127.0.0.1:8444 ssl;
        server_name second.test;
        ssl_verify_client on;
        ssl_client_certificate quiet.crt;
        return 200 second;
      }
    `,
  });
});

after(() => gateway.stop());

const asked = (servername: string, question: TlsQuestion = {}, address = '127.0.0.1:8443'): Promise<TlsAnswer> =>
  askOverTls(gateway.port(address), { servername, ...question });

describe('a server that demands a certificate', () => {
  test('lets in who shows one of its authority', async () => {
    const { status, text } = await asked('on.test', good);
    assert.equal(status, 200);
    const { validFrom, validTo, raw } = new X509Certificate(good.cert);
    const fingerprint = createHash('sha1').update(raw).digest('hex');
    const [verify, ...rest] = text.split('|');
    assert.equal(verify, 'SUCCESS');
    assert.deepEqual(rest, [
      'CN=good',
      'CN=Root',
      '/CN=good',
      '/CN=Root',
      '0ABC',
      fingerprint,
      validFrom,
      validTo,
      '3',
    ]);
  });

  test('sends who shows none where error_page 496 says, and logs it', async () => {
    const { status, text } = await asked('on.test');
    assert.deepEqual([status, text], [403, 'show one']);
    assert.ok(gateway.lines().some((line) => line.includes('client sent no required SSL certificate')));
  });

  test('refuses who is expired and who is revoked with 400, and logs why', async () => {
    const reasons = new Map([
      [old, '(10:certificate has expired)'],
      [revoked, '(23:certificate revoked)'],
    ]);
    for (const [certificate, reason] of reasons) {
      const { status, text } = await asked('on.test', certificate);
      assert.equal(status, 400);
      assert.match(text, /The SSL certificate error/);
      const told = `client SSL certificate verify error: ${reason} while reading client request headers`;
      assert.ok(
        gateway.lines().some((line) => line.includes(told)),
        reason,
      );
    }
  });

  test('asks nothing of a plain connection', async () => {
    const response = await fetch(`http://127.0.0.1:${gateway.port('127.0.0.1:8080')}/`);
    assert.equal(await response.text(), '|'.repeat(VARIABLES.length - 1));
  });

  test('tells the certificate whole, escaped, and in a header of one line', async () => {
    const pem = new X509Certificate(good.cert).toString();
    assert.equal((await asked('on.test', { ...good, path: '/pem' })).text, pem);
    assert.equal((await asked('on.test', { ...good, path: '/escaped' })).text, encodeURIComponent(pem));
    const { headers } = await asked('on.test', { ...good, path: '/header' });
    assert.equal(headers.get('x-cert'), pem.trimEnd().replaceAll('\n', ' \t'));
  });

  test('remembers who it was when a session is resumed, though it makes no tickets', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await asked('on.test', { ...good, maxVersion, path: '/session' });
      assert.equal(first.text, '. CN=good');
      const { session } = first;
      assert.ok(session);
      assert.equal((await asked('on.test', { maxVersion, session, path: '/session' })).text, 'r CN=good', maxVersion);
    }
  });

  test('keeps no session of who was refused', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await asked('on.test', { ...stranger, maxVersion });
      assert.equal((await asked('on.test', { ...good, maxVersion, session })).reused, false);
    }
  });
});

describe('a server for which a certificate is optional', () => {
  test('lets in who shows none, and refuses who shows a bad one', async () => {
    assert.equal((await asked('optional.test')).text, 'NONE ');
    assert.equal((await asked('optional.test', good)).text, 'SUCCESS CN=good');
    assert.equal((await asked('optional.test', stranger)).status, 400);
    const told =
      'client SSL certificate verify error: (18:self-signed certificate) while reading client request headers';
    assert.ok(gateway.lines().some((line) => line.includes(told)));
  });

  test('takes any authority with optional_no_ca, but no certificate that has expired', async () => {
    assert.equal((await asked('any.test', stranger)).text, 'FAILED:self-signed certificate CN=stranger');
    assert.equal((await asked('any.test', old)).status, 400);
    assert.equal((await asked('any.test')).text, 'NONE ');
  });

  test('is asked of nobody who is served without', async () => {
    assert.equal((await asked('plain.test', good)).text, 'NONE');
  });
});

describe('authorities', () => {
  test('of ssl_trusted_certificate are trusted', async () => {
    assert.equal((await asked('optional.test', quiet)).text, 'SUCCESS CN=quiet');
    assert.equal((await asked('on.test', quiet)).status, 400);
  });
});

describe('ssl_verify_depth', () => {
  test('is the number of certificates between', async () => {
    assert.equal((await asked('deep.test', deep)).text, 'SUCCESS');
    const { status } = await asked('shallow.test', deep);
    assert.equal(status, 400);
    assert.ok(gateway.lines().some((line) => line.includes('verify error: (22:certificate chain too long)')));
  });

  test('cannot be gone round by resuming', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await asked('shallow.test', { ...deep, maxVersion });
      assert.equal((await asked('shallow.test', { ...deep, maxVersion, session })).status, 400);
    }
  });
});

describe('a request for another server than the handshake was for', () => {
  test('is misdirected where that one verifies its clients', async () => {
    assert.equal((await asked('plain.test', { host: 'on.test' })).status, 421);
    assert.equal((await asked('any.test', { ...good, host: 'on.test' })).status, 421);
    const told = 'client attempted to request the server name different from the one that was negotiated';
    assert.ok(gateway.lines().some((line) => line.includes(told)));
  });

  test('is served where that one does not', async () => {
    assert.equal((await asked('on.test', { ...good, host: 'plain.test' })).status, 200);
  });

  test('is misdirected without a name, where the default server verifies by other rules', async () => {
    const address = '127.0.0.1:8444';
    assert.equal((await asked('', { ...good, host: 'first.test' }, address)).text, 'first');
    assert.equal((await asked('', { ...good, host: 'second.test' }, address)).status, 421);
    assert.equal((await asked('second.test', quiet, address)).text, 'second');
  });

  test('does not resume a session of a server with other rules', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await asked('any.test', { ...stranger, maxVersion });
      assert.equal((await asked('on.test', { maxVersion, session })).reused, false, maxVersion);
    }
  });
});

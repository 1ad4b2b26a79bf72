// How TLS sessions are resumed: caches of a worker and of all, tickets by keys of files and by keys that change, and where not.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { askOverTls, type TlsAnswer, type TlsQuestion } from '../support/tls-client.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const CACHES = ['shared:zone:64k', 'builtin', 'builtin:2', 'none', 'off'] as const;

let gateway: RunningGateway;

/** A port each, so that no names are needed. */
const portOf = (index: number): string => `127.0.0.1:${8100 + index}`;
const SERVERS = [
  ...CACHES.map((cache) => `ssl_session_tickets off; ssl_session_cache ${cache};`),
  'ssl_session_ticket_key new.key; ssl_session_ticket_key old.key;',
  'ssl_session_ticket_key old.key;',
  'ssl_session_ticket_key long.key;',
  'ssl_session_cache shared:keys:64k;',
  'ssl_session_tickets off; ssl_session_cache shared:zone:64k; ssl_session_timeout 1s;',
  'ssl_session_tickets off; ssl_session_cache shared:zone:64k; ssl_session_timeout 1h;',
];
const [NEW_KEYS, OLD_KEY, LONG_KEY, CHANGING_KEYS, SHORT_LIVED, SAME_ZONE] = [5, 6, 7, 8, 9, 10] as const;

before(async () => {
  const { cert, key } = await selfSignedCertificate();
  gateway = await gatewayFromConfig({
    files: {
      'a.crt': cert,
      'a.key': key,
      'new.key': randomBytes(48),
      'old.key': randomBytes(48),
      'long.key': randomBytes(80),
    },
    http: `
      access_log off;
      ssl_certificate a.crt;
      ssl_certificate_key a.key;
      ${SERVERS.map((lines, index) => `server { listen ${portOf(index)} ssl; ${lines} return 200 $ssl_session_reused; }`).join('\n')}
    `,
  });
});

after(() => gateway.stop());

const asked = (index: number, question: TlsQuestion): Promise<TlsAnswer> =>
  askOverTls(gateway.port(portOf(index)), question);

describe('ssl_session_cache without tickets', () => {
  for (const [index, cache] of CACHES.entries()) {
    const isKept = cache !== 'none' && cache !== 'off';
    for (const maxVersion of VERSIONS) {
      test(`${cache} ${isKept ? 'resumes' : 'does not resume'} a session of ${maxVersion}`, async () => {
        const { text, session } = await asked(index, { maxVersion });
        assert.equal(text, '.');
        assert.equal((await asked(index, { maxVersion, session })).text, isKept ? 'r' : '.');
      });
    }
  }

  test('forgets the session kept longest ago when it is full', async () => {
    const question = { maxVersion: 'TLSv1.2' } as const;
    const { session } = await asked(2, question);
    await asked(2, question);
    await asked(2, question);
    assert.equal((await asked(2, { ...question, session })).text, '.');
  });

  test('shares a zone of one name between servers with one certificate', async () => {
    const { session } = await asked(0, {});
    assert.equal((await asked(SAME_ZONE, { session })).text, 'r');
  });

  test('resumes no session that is older than ssl_session_timeout', async () => {
    for (const maxVersion of VERSIONS) {
      const { session } = await asked(SHORT_LIVED, { maxVersion });
      await new Promise((resolve) => setTimeout(resolve, 2100));
      assert.equal((await asked(SHORT_LIVED, { maxVersion, session })).text, '.');
    }
  });

  test('is not taken in by an id of nobody', async () => {
    const { session } = await asked(3, { maxVersion: 'TLSv1.2' });
    assert.equal((await asked(0, { maxVersion: 'TLSv1.2', session })).text, '.');
  });
});

describe('session tickets', () => {
  test('of any key of the files are taken', async () => {
    for (const maxVersion of VERSIONS) {
      const { session } = await asked(OLD_KEY, { maxVersion });
      assert.equal((await asked(OLD_KEY, { maxVersion, session })).text, 'r');
      assert.equal((await asked(NEW_KEYS, { maxVersion, session })).text, 'r', maxVersion);
    }
  });

  test('are made with the first key', async () => {
    for (const maxVersion of VERSIONS) {
      const { session } = await asked(NEW_KEYS, { maxVersion });
      assert.equal((await asked(NEW_KEYS, { maxVersion, session })).text, 'r');
      assert.equal((await asked(OLD_KEY, { maxVersion, session })).text, '.', maxVersion);
    }
  });

  test('can have keys of 80 bytes', async () => {
    const { session } = await asked(LONG_KEY, {});
    assert.equal((await asked(LONG_KEY, { session })).text, 'r');
  });

  test('have the changing keys of a shared cache', async () => {
    for (const maxVersion of VERSIONS) {
      const { session } = await asked(CHANGING_KEYS, { maxVersion });
      assert.equal((await asked(CHANGING_KEYS, { maxVersion, session })).text, 'r', maxVersion);
    }
  });
});

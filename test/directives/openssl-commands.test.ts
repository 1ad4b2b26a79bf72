// OpenSSL's configuration commands: what they come to, what has no effect, what is refused.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../../src/config/errors.ts';
import { type OpensslEffects, opensslEffects } from '../../src/directives/openssl-commands.ts';

const AT = { source: { file: 'nginx.conf', text: '' }, line: 1, column: 1, offset: 0, length: 0 };
const BOTH = ['TLSv1.2', 'TLSv1.3'];

function read(...commands: [string, string][]): OpensslEffects & { warnings: string[] } {
  const warnings: string[] = [];
  const written = commands.map(([name, value]) => ({ name, value, at: AT }));
  const effects = opensslEffects('ssl_conf_command', written, BOTH, (message) => warnings.push(message));
  return { ...effects, warnings };
}

describe('a command of OpenSSL', () => {
  test('sets ciphers of both kinds in one list', () => {
    const { context } = read(['CipherString', 'HIGH'], ['Ciphersuites', 'TLS_AES_128_GCM_SHA256']);
    assert.deepEqual(context, { ciphers: 'TLS_AES_128_GCM_SHA256:HIGH' });
  });

  test('is known whatever its case', () => {
    assert.equal(read(['groups', 'X25519']).context.ecdhCurve, 'X25519');
    assert.equal(read(['SIGNATUREALGORITHMS', 'ed25519']).context.sigalgs, 'ed25519');
  });

  test('narrows and widens the protocols', () => {
    assert.deepEqual(read(['MaxProtocol', 'TLSv1.2']).protocols, ['TLSv1.2']);
    assert.deepEqual(read(['MinProtocol', 'TLSv1.1']).protocols, ['TLSv1.1', 'TLSv1.2', 'TLSv1.3']);
    assert.deepEqual(read(['Protocol', '-ALL,TLSv1.3']).protocols, ['TLSv1.3']);
    assert.equal(read(['MinProtocol', 'None']).protocols, undefined);
  });

  test('names a certificate and its key', () => {
    const { certificate, key } = read(['Certificate', 'a.crt'], ['PrivateKey', 'a.key']);
    assert.deepEqual([certificate?.file, key?.file], ['a.crt', 'a.key']);
  });

  test('sets bits for options, and those that are so anyway set none', () => {
    assert.deepEqual(read(['Options', 'SessionTicket']).context, {});
    assert.notEqual(read(['Options', '-SessionTicket']).context.secureOptions, undefined);
  });

  test('that Node has no way to follow is a warning', () => {
    assert.match(read(['NumTickets', '3']).warnings[0] ?? '', /"ssl_conf_command NumTickets 3" has no effect/);
    assert.match(read(['Options', '-MiddleboxCompat']).warnings[0] ?? '', /has no effect/);
  });

  test('that does not exist is refused', () => {
    for (const [name, value] of [
      ['Cypher', 'HIGH'],
      ['MinProtocol', 'TLSv9'],
      ['Protocol', '+TLSv9'],
      ['Options', 'Speed'],
    ] as const)
      assert.throws(() => read([name, value]), ConfigError, `${name} ${value}`);
  });
});

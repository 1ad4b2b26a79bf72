// Certificates that variables name: how long they are remembered, and how many.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CertificateCache } from '../../src/directives/certificate-cache.ts';
import { CertificateError } from '../../src/directives/certificate-pair.ts';
import { type Certificate, signedCertificate } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

class Store {
  readonly #folder: string;

  constructor(context: TestContext) {
    this.#folder = temporaryFolder(context, {});
    context.mock.timers.enable({ apis: ['Date'], now: 1_000_000_000_000 });
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  put(name: string, { cert, key }: Certificate): void {
    for (const [path, text] of [
      [this.path(`${name}.crt`), cert],
      [this.path(`${name}.key`), key],
    ] as const) {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    }
  }

  take(cache: CertificateCache, name: string, passwords: readonly string[] = []): string {
    return cache.pair(this.path(`${name}.crt`), this.path(`${name}.key`), passwords).certificate;
  }
}

const one = await signedCertificate({ names: ['one'] });
const two = await signedCertificate({ names: ['two'] });

test('what is remembered is looked at again when it is no longer valid', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache({ max: 10, inactive: 100, valid: 2 });
  store.put('a', one);
  assert.equal(store.take(cache, 'a'), one.cert);
  store.put('a', two);
  context.mock.timers.tick(2_000);
  assert.equal(store.take(cache, 'a'), one.cert);
  context.mock.timers.tick(1_000);
  assert.equal(store.take(cache, 'a'), two.cert);
});

test('there are never more than max, and what is used longest ago goes first', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache({ max: 4, inactive: 100, valid: 100 });
  for (const name of ['a', 'b', 'c']) {
    store.put(name, one);
    store.take(cache, name);
  }
  assert.equal(cache.size, 4);
  unlinkSync(store.path('a.crt'));
  assert.throws(() => store.take(cache, 'a'), CertificateError);
  assert.equal(store.take(cache, 'c'), one.cert);
});

test('what was not used for a while is forgotten when there is a new one', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache({ max: 10, inactive: 1, valid: 100 });
  store.put('a', one);
  store.put('b', one);
  store.take(cache, 'a');
  context.mock.timers.tick(3_000);
  store.take(cache, 'b');
  assert.equal(cache.size, 2);
});

test('a key that a password opened is not remembered', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache({ max: 10, inactive: 100, valid: 100 });
  const key = createPrivateKey(one.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opens' })
    .toString();
  store.put('a', { cert: one.cert, key });
  assert.equal(store.take(cache, 'a', ['wrong', 'opens']), one.cert);
  assert.throws(() => store.take(cache, 'a', ['wrong']), /no password of the file opens it/);
  assert.throws(() => store.take(cache, 'a'), /there is no password file/);
});

test('a remembered certificate that does not fit its key is read anew', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache({ max: 10, inactive: 100, valid: 100 });
  const key = createPrivateKey(one.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opens' })
    .toString();
  store.put('a', { cert: one.cert, key });
  store.take(cache, 'a', ['opens']);
  store.put('a', two);
  assert.equal(store.take(cache, 'a', ['opens']), two.cert);
});

test('what is no certificate, or not that of its key, is refused without quoting it', (context) => {
  const store = new Store(context);
  const cache = new CertificateCache(undefined);
  store.put('a', { cert: one.cert, key: two.key });
  assert.throws(() => store.take(cache, 'a'), /it is not the key of the certificate/);
  assert.throws(() => cache.pair('data:nothing', `data:${one.key}`, []), {
    message: 'cannot load certificate "data:": no certificate (PEM) was found in it',
  });
  assert.equal(cache.pair(`data:${one.cert}`, `data:${one.key}`, []).key, one.key);
});

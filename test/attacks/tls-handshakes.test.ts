// Handshakes that lie: tickets, session ids and keys that nobody issued, and messages with any byte changed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { certificateAuthority, selfSignedCertificate } from '../support/certificates.ts';
import { clientHello } from '../support/client-hello.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { exchangeBytes } from '../support/raw-http.ts';
import { askOverTls } from '../support/tls-client.ts';

const SERVERS = [
  'ssl_session_cache shared:keys:64k;',
  'ssl_session_cache shared:sessions:64k; ssl_session_tickets off;',
  'ssl_session_ticket_key t.key;',
  'ssl_verify_client optional; ssl_client_certificate ca.crt;',
  '',
];
const addressOf = (index: number): string => `127.0.0.1:${8200 + index}`;

let gateway: RunningGateway;

before(async () => {
  const { cert, key } = await selfSignedCertificate();
  const server = (lines: string, index: number): string =>
    `server { listen ${addressOf(index)} ssl; ${lines} return 200 ok; }`;
  gateway = await gatewayFromConfig({
    files: { 'a.crt': cert, 'a.key': key, 't.key': randomBytes(48), 'ca.crt': (await certificateAuthority()).cert },
    http: `ssl_certificate a.crt; ssl_certificate_key a.key; access_log off; client_header_timeout 300ms;
      ${SERVERS.map(server).join('\n')}`,
  });
});

after(() => gateway.stop());

/** The hellos of clients that want to resume a session of another server: of all kinds that there are. */
async function resumingHellos(): Promise<Buffer[]> {
  const hellos: Buffer[] = [];
  for (const index of SERVERS.keys()) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await askOverTls(gateway.port(addressOf(index)), { maxVersion });
      hellos.push(await clientHello({ maxVersion, session }));
    }
  }
  return hellos;
}

/** The head of the record stays as it is. */
function changed(hello: Buffer, places: readonly (readonly [place: number, mask: number])[]): Buffer {
  const bytes = Buffer.from(hello);
  for (const [place, mask] of places) {
    const at = 5 + (place % (bytes.length - 5));
    bytes[at] = (bytes[at] as number) ^ mask;
  }
  return bytes;
}

test('a session that another server has made, or nobody, is never resumed, and every server goes on', async () => {
  const hellos = await resumingHellos();
  for (const index of SERVERS.keys()) {
    const port = gateway.port(addressOf(index));
    await Promise.all(hellos.map((hello) => exchangeBytes(port, hello)));
    assert.equal((await askOverTls(port)).text, 'ok');
  }
});

test('a handshake in which bytes were changed does no harm', { timeout: 60_000 }, async () => {
  const hellos = await resumingHellos();
  const changes = fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });
  const attempt = fc.tuple(fc.nat(hellos.length - 1), fc.nat(SERVERS.length - 1), changes);
  const attack = fc.asyncProperty(fc.array(attempt, { minLength: 40, maxLength: 40 }), async (attempts) => {
    await Promise.all(
      attempts.map(([which, index, places]) =>
        exchangeBytes(gateway.port(addressOf(index)), changed(hellos[which] as Buffer, places)),
      ),
    );
  });
  await fc.assert(attack, { numRuns: 4 });
  for (const index of SERVERS.keys()) assert.equal((await askOverTls(gateway.port(addressOf(index)))).text, 'ok');
  assert.deepEqual(
    gateway.lines().filter((line) => /\[(?:alert|crit|emerg)\]/.test(line)),
    [],
  );
});

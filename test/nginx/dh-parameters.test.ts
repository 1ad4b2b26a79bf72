// ssl_dhparam: suites with finite-field Diffie-Hellman work with the parameters of the file, and not at all without one.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_dhparam

import assert from 'node:assert/strict';
import { getDiffieHellman } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { connect, type EphemeralKeyInfo } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';

let gateway: RunningGateway;

/** A DER element of that type; lengths of two bytes are enough. */
function element(type: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, 0x82, content.length >> 8, content.length & 0xff]), content]);
}

/** An integer that begins with a 1 bit has a zero byte before it: it is not negative. */
const integer = (bytes: Buffer): Buffer => element(2, Buffer.concat([Buffer.alloc(1), bytes]));

function parameters(group: string): string {
  const dh = getDiffieHellman(group);
  const der = element(0x30, Buffer.concat([integer(dh.getPrime()), integer(dh.getGenerator())]));
  return `-----BEGIN DH PARAMETERS-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`;
}

before(async () => {
  const { cert, key } = await selfSignedCertificate({ kind: 'rsa' });
  const server = (port: number, line: string): string => `
    server {
      listen 127.0.0.1:${port} ssl;
      ssl_protocols TLSv1.2;
      ssl_ciphers DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;
      ssl_prefer_server_ciphers on;
      ssl_certificate a.crt;
      ssl_certificate_key a.key;
      ${line}
    }`;
  gateway = await gatewayFromConfig({
    files: { 'a.crt': cert, 'a.key': key, '2048.pem': parameters('modp14'), '3072.pem': parameters('modp15') },
    http: server(8441, '') + server(8442, 'ssl_dhparam 2048.pem;') + server(8443, 'ssl_dhparam 3072.pem;'),
  });
});

after(() => gateway.stop());

/** @returns how the key was agreed on, or the error */
async function agreement(port: number, ciphers: string): Promise<{ type: string; size: number } | string> {
  const socket = connect({
    port: gateway.port(`127.0.0.1:${port}`),
    host: '127.0.0.1',
    ciphers,
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect');
    const { type, size } = socket.getEphemeralKeyInfo() as EphemeralKeyInfo;
    return { type, size };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  } finally {
    socket.destroy();
  }
}

const DHE = 'DHE-RSA-AES128-GCM-SHA256';

test('the parameters are those of the file', async () => {
  assert.deepEqual(await agreement(8442, DHE), { type: 'DH', size: 2048 });
  assert.deepEqual(await agreement(8443, DHE), { type: 'DH', size: 3072 });
});

test('without a file such suites are not there, and others are', async () => {
  assert.match((await agreement(8441, DHE)) as string, /HANDSHAKE_FAILURE/);
  const { type } = (await agreement(8441, `${DHE}:ECDHE-RSA-AES128-GCM-SHA256`)) as EphemeralKeyInfo;
  assert.equal(type, 'ECDH');
});

test('with a file, a server that prefers such a suite gets it', async () => {
  const { type } = (await agreement(8442, `ECDHE-RSA-AES128-GCM-SHA256:${DHE}`)) as EphemeralKeyInfo;
  assert.equal(type, 'DH');
});

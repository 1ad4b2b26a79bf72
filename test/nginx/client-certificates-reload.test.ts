// A reload that changes whose certificates are taken: connections stay, but nobody is let in by the old rules.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { certificateAuthority, selfSignedCertificate, signedCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { askOverTls } from '../support/tls-client.ts';

test('a kept connection whose certificate was verified by other rules is told to come anew', async (t) => {
  const { cert, key } = await selfSignedCertificate();
  const port = await freePort();
  const conf = (authority: string): string => `
    events {}
    http {
      access_log off;
      server {
        listen 127.0.0.1:${port} ssl;
        server_name a.test;
        ssl_certificate a.crt;
        ssl_certificate_key a.key;
        ssl_verify_client on;
        ssl_client_certificate ${authority}.crt;
        return 200 $ssl_client_s_dn;
      }
    }`;
  const client = await signedCertificate({ names: ['before'] }, 'Authority before');
  const files = {
    'a.crt': cert,
    'a.key': key,
    'before.crt': (await certificateAuthority('Authority before')).cert,
    'after.crt': (await certificateAuthority('Authority after')).cert,
  };
  const sockgate = await startSockgate(t, { conf: conf('before'), files });
  const socket = connect({ ...client, port, host: '127.0.0.1', servername: 'a.test', rejectUnauthorized: false });
  t.after(() => socket.destroy());
  const asked = async (): Promise<string> => {
    socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString('latin1');
  };
  assert.match(await asked(), /^HTTP\/1\.1 200 .*CN=before$/s);
  await sockgate.reload(conf('after'));
  assert.match(await asked(), /^HTTP\/1\.1 421 /);
  assert.equal((await askOverTls(port, { ...client, servername: 'a.test' })).status, 400);
});

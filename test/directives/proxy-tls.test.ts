// proxy_ssl_…: whom we take for the upstream, what we tell it, and whether sessions with it are resumed.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { certificateAuthority, signedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;
let peer: Server;

before(async () => {
  const authority = await certificateAuthority();
  const other = await certificateAuthority('Another authority');
  peer = createServer(await signedCertificate({ names: ['peer.test', '127.0.0.1'] }), (request, response) => {
    const { servername } = request.socket as TLSSocket & { servername?: string | false };
    const socket = request.socket as TLSSocket;
    response.end(
      [servername || 'no name', socket.getProtocol(), socket.isSessionReused() ? 'resumed' : 'new'].join(' '),
    );
  });
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const { port } = peer.address() as AddressInfo;
  const pass = `proxy_pass https://127.0.0.1:${port}`;
  gateway = await gatewayFromConfig({
    files: { 'authority.crt': authority.cert, 'other.crt': other.cert },
    http: `
      access_log off;
      proxy_set_header Connection close;
      server {
        listen 127.0.0.1:8080;
        location /plain { ${pass}; }
        location /named { proxy_ssl_server_name on; proxy_ssl_name peer.test:99; ${pass}; }
        location /address { proxy_ssl_server_name on; ${pass}; }
        location /verified { proxy_ssl_verify on; proxy_ssl_trusted_certificate authority.crt; proxy_ssl_name peer.test; ${pass}; }
        location /by-address { proxy_ssl_verify on; proxy_ssl_trusted_certificate authority.crt; ${pass}; }
        location /other-name { proxy_ssl_verify on; proxy_ssl_trusted_certificate authority.crt; proxy_ssl_name other.test; ${pass}; }
        location /other-authority { proxy_ssl_verify on; proxy_ssl_trusted_certificate other.crt; proxy_ssl_name peer.test; ${pass}; }
        location /forgetful { proxy_ssl_session_reuse off; ${pass}; }
        location /old { proxy_ssl_protocols TLSv1.2; ${pass}; }
        location /cipher { proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers AES256-SHA; ${pass}; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  peer.close();
  peer.closeAllConnections();
});

const get = (path: string) => ask(gateway.port(), `GET ${path}`);
const logged = (text: string): boolean => gateway.lines().some((line) => line.includes(text));

describe('the name of the peer', () => {
  test('is sent only with proxy_ssl_server_name, without its port', async () => {
    assert.match((await get('/plain')).text, /^no name TLSv1.3 /);
    assert.match((await get('/named')).text, /^peer\.test /);
  });

  test('is not sent where it is an address', async () => {
    assert.match((await get('/address')).text, /^no name /);
  });
});

describe('proxy_ssl_verify', () => {
  test('takes a certificate of the authority for that name, or for that address', async () => {
    assert.equal((await get('/verified')).status, 200);
    assert.equal((await get('/by-address')).status, 200);
  });

  test('refuses any other: 502, and the log says why', async () => {
    assert.equal((await get('/other-name')).status, 502);
    assert.ok(logged('upstream SSL certificate does not match "other.test"'));
    assert.equal((await get('/other-authority')).status, 502);
    assert.ok(logged('upstream SSL certificate verify error: '));
  });
});

describe('a session with the peer', () => {
  test('is resumed', async () => {
    await get('/plain');
    assert.match((await get('/plain')).text, / resumed$/);
  });

  test('is not resumed with proxy_ssl_session_reuse off', async () => {
    await get('/forgetful');
    assert.match((await get('/forgetful')).text, / new$/);
  });
});

test('protocols and ciphers are those of proxy_ssl_protocols and proxy_ssl_ciphers', async () => {
  assert.match((await get('/old')).text, / TLSv1\.2 /);
  assert.equal((await get('/cipher')).status, 502);
});

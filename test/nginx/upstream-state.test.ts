// state: an upstream whose servers stand in a file of their own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

const http = (more = ''): string => `
  upstream app { state servers.conf; ${more} }
  server { listen 127.0.0.1:8080; location / { proxy_pass http://app; } }
`;
const wish = (state: string, more = '') => ({ http: http(more), files: { 'servers.conf': state } });

describe('the servers of a state file', () => {
  test('are those of the group', async (t) => {
    const peer = createServer((_, response) => response.end('reached'));
    peer.listen(0, '127.0.0.1');
    await once(peer, 'listening');
    t.after(() => peer.close());
    const { port } = peer.address() as AddressInfo;
    const gateway = await gatewayFromConfig(
      wish(`# kept\nserver 127.0.0.1:${port} weight=2;\nserver 127.0.0.9:1 down;\n`),
    );
    t.after(() => gateway.stop());
    assert.equal((await ask(gateway.port(), 'GET /')).text, 'reached');
  });

  test('are none where there is no file: every request is a 502', async (t) => {
    const gateway = await gatewayFromConfig({ http: http() });
    t.after(() => gateway.stop());
    assert.equal((await ask(gateway.port(), 'GET /')).status, 502);
  });

  test('may be names that a resolver resolves', async () => {
    const message = /no resolver defined to resolve names at run time in upstream "app"/;
    await assert.rejects(gatewayFromConfig(wish('server a.test resolve;')), message);
  });

  test('are checked, and what is wrong is told with its place in that file', async () => {
    const cases: Readonly<Record<string, RegExp>> = {
      'server 127.0.0.1:80 weight=heavy;': /invalid parameter "weight=heavy" in \S+\/servers\.conf:1/,
      'server;': /invalid number of arguments in "server" directive in \S+\/servers\.conf:1/,
      '\nkeepalive 4;': /"keepalive" directive is not allowed in a file of "state" in \S+\/servers\.conf:2/,
      'server 127.0.0.1:80': /unexpected end of file/,
    };
    for (const [state, message] of Object.entries(cases)) await assert.rejects(gatewayFromConfig(wish(state)), message);
  });

  test('cannot stand beside others', async () => {
    const both = gatewayFromConfig(wish('server 127.0.0.1:80;', 'server 127.0.0.1:81;'));
    await assert.rejects(both, /"state" cannot be used along with "server"/);
  });
});

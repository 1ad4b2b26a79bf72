// limit_except: settings of their own for the methods that it does not name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

test('methods that are not named meet the inner settings, over those of the location', async (t) => {
  const backend = await startBackend(
    t,
    ({ startLine: line }) => `HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\n\r\n${line}`,
  );
  const gateway = await gatewayFromConfig({
    http: `
      server {
        listen 127.0.0.1:8080;
        location /files/ {
          add_header X-Location files;
          limit_except GET { proxy_pass http://${backend.address}; }
        }
        location /inner/ {
          proxy_pass http://${backend.address}/changed/;
          limit_except get put { access_log off; }
        }
      }`,
    files: { 'html/files/a.txt': 'from the disk' },
  });
  t.after(() => gateway.stop());
  const at = async (line: string) => {
    const { text, headers } = await ask(gateway.port(), line);
    return [text, headers.get('x-location')];
  };
  assert.deepEqual(await at('GET /files/a.txt'), ['from the disk', 'files']);
  assert.deepEqual(await at('HEAD /files/a.txt'), ['', 'files'], 'GET stands for HEAD as well');
  assert.deepEqual(await at('DELETE /files/a.txt'), ['DELETE /files/a.txt HTTP/1.1', 'files']);
  assert.deepEqual(await at('POST /inner/b'), ['POST /changed/b HTTP/1.1', undefined], 'proxy_pass is inherited');
  assert.deepEqual(await at('PUT /inner/b'), ['PUT /changed/b HTTP/1.1', undefined]);
});

// alias and rewrite: a URI that a `rewrite … break` has put in place of the location's has no file under its alias.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

test('after rewrite … break an alias leads nowhere: 500, and the log says why', async (t) => {
  const backend = await startBackend(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npeer');
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      rewrite ^/outside$ /inside/a break;
      location /inside/ { alias html/; }
      location /file/ { alias html/; rewrite ^ /other break; }
      location /same/ { alias html/; rewrite ^ /same/a break; }
      location /folder/ { alias html/; rewrite ^ /other/ break; autoindex on; }
      location ~ ^/captures/(.*)$ { alias html/$1; rewrite ^ /other break; }
      location /if/ { alias html/; if ($arg_x) { rewrite ^ /other break; } }
      location /tries/ { alias html/; rewrite ^ /tries/a break; try_files $uri =404; }
      location /page/ { alias html/; rewrite ^ /other break; error_page 500 = @page; }
      location @page { return 200 page; }
      location /peer/ { alias html/; rewrite ^ /other break; proxy_pass http://${backend.address}; }
      location /last/ { alias html/; rewrite ^ /inside/a last; }
      location /break/ { alias html/; break; }
      location /root/ { root html; rewrite ^ /a break; }
    }`,
    files: { 'html/a': 'file' },
  });
  t.after(() => gateway.stop());
  const asked = async (line: string): Promise<string> => {
    const { status, text } = await ask(gateway.port(), line);
    return status === 200 ? text : `${status}`;
  };
  for (const path of ['/outside', '/file/a', '/same/a', '/folder/', '/captures/a', '/if/a?x=1', '/tries/a'])
    assert.equal(await asked(`GET ${path}`), '500', path);
  assert.equal(await asked('POST /file/a'), '500');
  assert.equal(await asked('PUT /file/a'), '405');
  assert.equal(await asked('GET /page/a'), 'page');
  assert.equal(await asked('GET /peer/a'), 'peer');
  for (const path of ['/inside/a', '/if/a', '/last/a', '/break/a', '/root/a'])
    assert.equal(await asked(`GET ${path}`), 'file', path);
  const told = gateway.lines().filter((line) => line.includes('[alert]'));
  assert.equal(told.length, 9);
  assert.match(
    told[1] ?? '',
    /"alias" cannot be used in location "\/file\/" where URI was rewritten, client: 127\.0\.0\.1/,
  );
});

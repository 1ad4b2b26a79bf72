// The configuration that Debian's nginx comes with runs as it is: its includes, its site, a line for each module that Debian packages.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CONFIGURATION = '/etc/nginx/nginx.conf';
const ENTRY = process.env['SOCKGATE_ENTRY'] ?? fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Debian's modules, each with the file in `modules-enabled` that its package brings. */
const MODULES = [
  '10-mod-http-ndk http/ndk_http',
  '50-mod-http-auth-pam http/ngx_http_auth_pam',
  '50-mod-http-brotli-filter http/ngx_http_brotli_filter',
  '50-mod-http-dav-ext http/ngx_http_dav_ext',
  '50-mod-http-echo http/ngx_http_echo',
  '50-mod-http-fancyindex http/ngx_http_fancyindex',
  '50-mod-http-geoip http/ngx_http_geoip',
  '50-mod-http-geoip2 http/ngx_http_geoip2',
  '50-mod-http-headers-more-filter http/ngx_http_headers_more_filter',
  '50-mod-http-image-filter http/ngx_http_image_filter',
  '50-mod-http-lua http/ngx_http_lua',
  '50-mod-http-perl http/ngx_http_perl',
  '50-mod-http-subs-filter http/ngx_http_subs_filter',
  '50-mod-http-upstream-fair http/ngx_http_upstream_fair',
  '50-mod-http-xslt-filter http/ngx_http_xslt_filter',
  '50-mod-mail mail/ngx_mail',
  '50-mod-nchan nchan/ngx_nchan',
  '50-mod-stream stream/ngx_stream',
  '70-mod-stream-geoip stream/ngx_stream_geoip',
  '70-mod-stream-geoip2 stream/ngx_stream_geoip2',
].map((line) => line.split(' ') as [file: string, module: string]);

/** Port 80 of a network of its own, and folders for what nginx's places for logs and the pid would be; gone with the last process in it. */
const SCRIPT = `
set -e
ip link set lo up
for place in /var/log/nginx /run /etc/nginx/modules-enabled; do mount -t tmpfs none "$place"; done
cp "$MODULES"/* /etc/nginx/modules-enabled/
"$NODE" "$ENTRY" -t -c "$CONFIGURATION"
"$NODE" "$ENTRY" -c "$CONFIGURATION"
"$NODE" -e 'fetch("http://127.0.0.1/").then(async (answer) => console.log(answer.status, await answer.text()))'
"$NODE" -e 'fetch("http://[::1]/absent").then((answer) => console.log(answer.status))'
kill -QUIT "$(cat /run/nginx.pid)"
while [ -e /run/nginx.pid ]; do sleep 0.05; done
cat /var/log/nginx/access.log /var/log/nginx/error.log
`;

const run = promisify(execFile);
const inNamespace = ['--net', '--mount', '--', 'sh', '-c'];

async function whyNot(): Promise<string | false> {
  if (!existsSync(CONFIGURATION)) return 'nginx is not installed';
  const tried = await run('unshare', [...inNamespace, 'mount -t tmpfs none /run']).catch((error: Error) => error);
  return tried instanceof Error && 'only root can make a network of its own';
}

test('Debian’s own configuration, with a line for each of its modules, runs unchanged', {
  skip: await whyNot(),
}, async (t) => {
  const files = MODULES.map(([file, name]) => [
    `${file}.conf`,
    `load_module modules/${name.replace(/.*\//, '')}_module.so;\n`,
  ]);
  const modules = temporaryFolder(t, Object.fromEntries(files) as Record<string, string>);
  const env = { PATH: process.env['PATH'], NODE: process.execPath, ENTRY, CONFIGURATION, MODULES: modules };
  const { stdout, stderr } = await run('unshare', [...inNamespace, SCRIPT], { env, timeout: 60_000 });
  assert.match(stdout, /^200 [\s\S]*Welcome to nginx!/m, 'the page that Debian’s package brings');
  assert.match(stdout, /^404$/m);
  assert.match(stdout, /"GET \/ HTTP\/1\.1" 200 /);
  assert.doesNotMatch(stdout, /\[(?:error|crit|alert|emerg)\] (?!.*open\(\) "\/var\/www\/html\/absent")/);
  assert.match(stderr, /test is successful/);
  for (const [, name] of MODULES) assert.ok(stderr.includes(name.replace(/.*\//, '')), `a notice for ${name}`);
});

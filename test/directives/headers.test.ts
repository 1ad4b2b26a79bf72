// add_header, add_trailer, expires: when a field is added, what becomes of it, and what a level takes from the one above.

import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      add_header X-Http http;
      server {
        listen 127.0.0.1:8080;
        location / { return 200; }
        location /own { add_header X-Own "$uri $arg_a"; return 200; }
        location /own/inner { return 200; location /own/inner/most { return 200; } }
        location /several { add_header X-A 1; add_header X-A 2; add_header x-b 3; return 200; }
        location /error { add_header X-Usual 1; add_header X-Always 1 always; return 404; }
        location /moved { add_header X-Usual 1; return 301 /; }
        location /empty { add_header X-Empty $arg_nothing; return 200; }
        location /split/ { add_header X-Uri $uri; return 200; }
        location /bytes { add_header X-Bytes "grün"; return 200; }
        location = /file.txt { add_header Last-Modified ""; add_header ETag '"mine"'; add_header Cache-Control no-store; }
        location = /plain.txt { }
        location /off { add_header_inherit off; return 200; }
        location /merge {
          add_header_inherit merge;
          add_header X-Merge own;
          location /merge/inner { add_header X-Inner inner; return 200; }
          location /merge/off { add_header_inherit off; add_header X-Inner inner; return 200; }
          return 200;
        }
        location /trailers/ {
          alias html/;
          add_trailer X-Length "$body_bytes_sent $sent_http_content_type";
          add_trailer X-Again $sent_trailer_x_length;
          add_trailer X-Empty "";
          add_trailer X-Always 1 always;
          location /trailers/merge/ { alias html/; add_trailer_inherit merge; add_trailer X-Inner 1; }
          location /trailers/off/ { alias html/; add_trailer_inherit off; }
        }
      }
      server {
        listen 127.0.0.1:8081;
        expires epoch;
        location / { return 200; }
        location /missing { return 404; }
        location /max { expires max; return 200; }
        location /off { expires off; return 200; }
        location /hour { expires 1h; location /hour/inner { return 200; } return 200; }
        location /now { expires 0; return 200; }
        location /past { expires -1h; return 200; }
        location /day { expires @12h; return 200; }
        location /given { expires $arg_e; return 200; }
        location /file { alias html/; expires modified 1d; }
        location /gone { alias html/; expires modified -1d; }
        location /kept { expires 10; add_header Cache-Control public; return 200; }
      }
    `,
    files: { 'html/file.txt': 'text', 'html/plain.txt': 'text' },
  });
});

after(() => gateway.stop());

async function fields(path: string): Promise<string[]> {
  const { whole } = await ask(gateway.port(), `GET ${path}`);
  const head = whole.slice(0, whole.indexOf('\r\n\r\n'));
  return head.split('\r\n').slice(1);
}

const added = async (path: string): Promise<string[]> => (await fields(path)).filter((field) => /^x-/i.test(field));

test('a field is added as it is written, its variables filled in', async () => {
  assert.deepEqual(await added('/own?a=b'), ['X-Own: /own b']);
  assert.deepEqual(await added('/several'), ['X-A: 1', 'X-A: 2', 'x-b: 3']);
});

test('bytes of the configuration go out as they stand there', async () => {
  assert.deepEqual(await added('/bytes'), [`X-Bytes: ${Buffer.from('grün').toString('latin1')}`]);
});

test('a level takes what the one above has, unless it has fields of its own', async () => {
  assert.deepEqual(await added('/'), ['X-Http: http']);
  assert.deepEqual(await added('/own'), ['X-Own: /own ']);
  assert.deepEqual(await added('/own/inner/most'), ['X-Http: http']);
});

test('an error gets only what is for always', async () => {
  assert.deepEqual(await added('/error'), ['X-Always: 1']);
  assert.deepEqual(await added('/moved'), ['X-Usual: 1']);
});

test('an empty value adds nothing', async () => {
  assert.deepEqual(await added('/empty'), []);
});

test('a line break out of a decoded URI becomes a space, so that it cannot split the answer', async () => {
  assert.deepEqual(await added('/split/%0d%0aX-Evil:%201'), ['X-Uri: /split/  X-Evil: 1']);
});

test('Last-Modified and ETag are replaced, or taken away by an empty value', async () => {
  const plain = await fields('/plain.txt');
  assert.equal(plain.filter((field) => /^(Last-Modified|ETag):/.test(field)).length, 2);
  const own = await fields('/file.txt');
  assert.deepEqual(
    own.filter((field) => /^(Last-Modified|ETag|Cache-Control):/i.test(field)),
    ['ETag: "mine"', 'Cache-Control: no-store'],
  );
});

test('add_header_inherit: off takes nothing from above, merge takes it behind its own, and deeper levels do the same', async () => {
  assert.deepEqual(await added('/off'), []);
  assert.deepEqual(await added('/merge'), ['X-Merge: own', 'X-Http: http']);
  assert.deepEqual(await added('/merge/inner'), ['X-Inner: inner', 'X-Merge: own', 'X-Http: http']);
  assert.deepEqual(await added('/merge/off'), ['X-Inner: inner']);
});

async function trailers(t: TestContext, path: string, version = '1.1', method = 'GET') {
  const client = await RawClient.to(t, gateway.port(), { isBodiless: () => method === 'HEAD' });
  client.send(`${method} ${path} HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return client.answer();
}

test('a trailer is what it is at the end of the body, which comes in chunks', async (t) => {
  const answer = await trailers(t, '/trailers/plain.txt');
  assert.equal(answer.body.toString(), 'text');
  assert.equal(fieldOf(answer, 'content-length'), undefined);
  assert.deepEqual(answer.trailers, ['X-Length: 9 text/plain', 'X-Again: 9 text/plain', 'X-Always: 1']);
});

test('an error gets only trailers that are for always', async (t) => {
  assert.deepEqual((await trailers(t, '/trailers/none')).trailers, ['X-Always: 1']);
});

test('HTTP/1.0 and HEAD get the length, and no trailers', async (t) => {
  const old = await trailers(t, '/trailers/plain.txt', '1.0');
  assert.equal(fieldOf(old, 'content-length'), '4');
  assert.equal(old.body.toString(), 'text');
  assert.equal(fieldOf(await trailers(t, '/trailers/plain.txt', '1.1', 'HEAD'), 'content-length'), '4');
});

test('add_trailer_inherit works as add_header_inherit', async (t) => {
  const merged = (await trailers(t, '/trailers/merge/plain.txt')).trailers;
  assert.deepEqual(
    merged.map((line) => line.slice(0, line.indexOf(':'))),
    ['X-Inner', 'X-Length', 'X-Again', 'X-Always'],
  );
  assert.deepEqual((await trailers(t, '/trailers/off/plain.txt')).trailers, []);
});

async function kept(
  path: string,
): Promise<{ control: string | undefined; ahead: number; expires: string | undefined }> {
  const { headers } = await ask(gateway.port('127.0.0.1:8081'), `GET ${path}`);
  const expires = headers.get('expires');
  const ahead = Math.round((Date.parse(expires ?? '') - Date.now()) / 1000);
  return { control: headers.get('cache-control'), ahead, expires };
}

test('expires sets both fields: a time from now, for ever, never', async () => {
  const hour = await kept('/hour');
  assert.equal(hour.control, 'max-age=3600');
  assert.ok(Math.abs(hour.ahead - 3600) <= 30);
  assert.equal((await kept('/hour/inner')).control, 'max-age=3600');
  assert.deepEqual(await kept('/now').then(({ control }) => control), 'max-age=0');
  assert.equal((await kept('/max')).control, 'max-age=315360000');
  assert.equal((await kept('/max')).expires, 'Thu, 31 Dec 2037 23:55:55 GMT');
  assert.equal((await kept('/')).control, 'no-cache');
  assert.equal((await kept('/')).expires, 'Thu, 01 Jan 1970 00:00:01 GMT');
  assert.equal((await kept('/past')).control, 'no-cache');
  assert.ok(Math.abs((await kept('/past')).ahead + 3600) <= 2);
});

test('expires off, and an error, have neither field', async () => {
  for (const path of ['/off', '/missing']) assert.deepEqual(await kept(path), await kept('/given?e=off'));
  assert.equal((await kept('/off')).control, undefined);
  assert.equal((await kept('/off')).expires, undefined);
});

test('a time of day is the next one', async () => {
  const { control, ahead, expires } = await kept('/day');
  assert.ok(ahead > 0 && ahead <= 86_400, String(ahead));
  assert.match(control ?? '', /^max-age=\d+$/);
  assert.equal(new Date(expires ?? '').getHours(), 12);
});

test('expires modified counts from the time of the file', async () => {
  const file = join(gateway.prefix, 'html/file.txt');
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(file, hourAgo, hourAgo);
  assert.match((await kept('/file/file.txt')).control ?? '', /^max-age=8279\d|82800$/);
  utimesSync(file, 1000, 1000);
  assert.equal((await kept('/file/file.txt')).control, 'no-cache');
  assert.equal((await kept('/file/file.txt')).expires, 'Fri, 02 Jan 1970 00:16:40 GMT');
  assert.equal((await kept('/gone/plain.txt')).control, 'no-cache');
});

test('expires with a variable: every form; what is none sets nothing', async () => {
  assert.equal((await kept('/given?e=1h')).control, 'max-age=3600');
  assert.equal((await kept('/given?e=-1')).control, 'no-cache');
  assert.equal((await kept('/given?e=max')).control, 'max-age=315360000');
  assert.match((await kept('/given?e=@1h')).control ?? '', /^max-age=/);
  for (const none of ['', 'soon', '@25h', '1x'])
    assert.equal((await kept(`/given?e=${none}`)).control, undefined, none);
});

test('a Cache-Control of add_header stands beside that of expires', async () => {
  const { whole } = await ask(gateway.port('127.0.0.1:8081'), 'GET /kept');
  assert.match(whole, /Cache-Control: max-age=10\r\nCache-Control: public\r\n/);
});

test('expires that makes no sense is refused in nginx’s words', async () => {
  for (const [written, words] of [
    ['soon', /"expires" directive invalid value/],
    ['later 1h', /"expires" directive invalid value/],
    ['modified max', /"expires" directive invalid value/],
    ['@25h', /"expires" directive daily time value must be less than 24 hours/],
    ['modified @1h', /"expires" directive daily time cannot be used with "modified" parameter/],
  ] as const) {
    await assert.rejects(gatewayFromConfig({ http: `expires ${written}; server { location / { } }` }), words, written);
  }
});

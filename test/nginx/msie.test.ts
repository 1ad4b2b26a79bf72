// Internet Explorer: pages of errors that it shows, and refreshes instead of redirects.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#msie_padding

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

const EXPLORER = 'Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)';
const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const OPERA = 'Mozilla/4.0 (compatible; MSIE 6.0; X11; Linux i686; de) Opera 10.10';

const agent = (name: string): string => `User-Agent: ${name}`;

test('msie_padding: the page of an error has 512 bytes for browsers that would show their own', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      server {
        listen 127.0.0.1:8080;
        location / { return 404; }
        location /moved { return 301 /; }
        location /text { return 404 "short"; }
        location /off { msie_padding off; return 404; }
      }`,
  });
  t.after(() => gateway.stop());
  const page = async (path: string, name: string): Promise<string> => {
    const { text, headers } = await ask(gateway.port(), `GET ${path}`, agent(name));
    assert.equal(headers.get('content-length'), `${text.length}`);
    return text;
  };
  const plain = await page('/', FIREFOX);
  assert.ok(plain.length < 300);
  for (const name of [EXPLORER, CHROME]) {
    const padded = await page('/', name);
    assert.ok(padded.startsWith(plain) && padded.length >= 512 && padded.length < 600, name);
    assert.match(padded.slice(plain.length), /^(?:<!-- [^<>]+ -->\r\n)+$/);
    assert.equal(await page('/off', name), plain);
    assert.ok((await page('/moved', name)).length < 300);
    assert.equal(await page('/text', name), 'short');
  }
  assert.equal(await page('/', OPERA), plain);
  const head = await ask(gateway.port(), 'HEAD /', agent(EXPLORER));
  assert.ok(Number(head.headers.get('content-length')) >= 512);
  assert.equal(head.text, '');
});

test('msie_refresh: a page that leads on, with 200, in which nothing can end the attribute', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      msie_refresh on;
      server {
        listen 127.0.0.1:8080;
        location /moved { return 301 https://example.org/a?b=1&c=$arg_x; }
        location /found { return 302 https://example.org/; }
        location /other { return 303 https://example.org/; }
        location /page { error_page 404 =303 https://example.org/lost; return 404; }
        location /off { msie_refresh off; return 301 https://example.org/; }
      }`,
  });
  t.after(() => gateway.stop());
  const told = async (path: string, name: string) => {
    const { status, headers, text } = await ask(gateway.port(), `GET ${path}`, agent(name));
    const url = /<meta http-equiv="refresh" content="0; url=([^"]*)">/.exec(text)?.[1];
    return { status, location: headers.get('location'), url };
  };
  const refresh = (url: string) => ({ status: 200, location: undefined, url });
  const url = 'https://example.org/';
  assert.deepEqual(await told(`/moved?x="><'`, EXPLORER), refresh(`${url}a?b=1&amp;c=%22%3E%3C%27`));
  assert.deepEqual(await told('/found', EXPLORER), refresh(url));
  assert.deepEqual(await told('/page', EXPLORER), refresh(`${url}lost`));
  const redirect = (status: number) => ({ status, location: url, url: undefined });
  assert.deepEqual(await told('/other', EXPLORER), redirect(303));
  assert.deepEqual(await told('/off', EXPLORER), redirect(301));
  for (const name of [CHROME, FIREFOX, OPERA]) assert.deepEqual(await told('/found', name), redirect(302));
});

// error_page: which answer stands in for an error, and with which status.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      server {
        listen 127.0.0.1:8080;
        server_name main;
        error_page 404 /404.html;
        error_page 500 502 503 504 /50x.html;
        location = /404.html { internal; return 200 "not here: $uri $request_method [$args]"; }
        location = /50x.html { internal; return 200 "broken"; }
        location / { return 404; }
        location = /broken { return 503; }
        location = /forbidden { return 403; }
        location /overwritten { error_page 404 =200 /404.html; return 404; }
        location /by-page { error_page 404 = /teapot; return 404; }
        location = /teapot { return 418 "a teapot"; }
        location /named { error_page 404 @fallback; return 404; }
        location @fallback { return 200 "named: $uri $request_method [$args]"; }
        location /named-changed { error_page 404 =202 @fallback; return 404; }
        location /nowhere { error_page 404 @missing; return 404; }
        location /away { error_page 404 https://example.org/lost?from=$uri; return 404; }
        location /away-301 { error_page 404 =301 https://example.org/; return 404; }
        location /args { error_page 404 /404.html?page=args; return 404; }
        location /made { error_page 404 /$arg_page; return 404; }
        location /own { error_page 403 /404.html; return 404; }
        location = /x.html { return 200 "made up"; }
        location /twice { error_page 404 /twice-page; return 404; }
        location = /twice-page { error_page 503 /404.html; return 503; }
        location /again { recursive_error_pages on; error_page 404 /again-page; return 404; }
        location = /again-page { error_page 503 /x.html; return 503; }
        location /round { recursive_error_pages on; error_page 404 /round; return 404; }
      }
      server {
        listen 127.0.0.1:8080;
        server_name inner;
        error_page 400 494 /too-large;
        location = /too-large { internal; return 200 "too large: $status"; }
        location / { return 200; }
      }
    `,
  });
});

after(() => gateway.stop());

async function at(path: string, ...fields: string[]) {
  const { status, text, headers } = await ask(gateway.port(), `GET ${path}`, ...fields);
  return { status, text, location: headers.get('location') };
}

describe('error_page with a URI', () => {
  test('answers with what is there, and keeps the status of the error', async () => {
    assert.deepEqual(await at('/x'), { status: 404, text: 'not here: /404.html GET []', location: undefined });
    assert.equal((await at('/x?a=b')).text, 'not here: /404.html GET []');
    assert.deepEqual(await at('/broken'), { status: 503, text: 'broken', location: undefined });
  });

  test('holds for the statuses that it names alone', async () => {
    const { status, text } = await at('/forbidden');
    assert.equal(status, 403);
    assert.match(text, /403 Forbidden/);
  });

  test('asks for the page with GET, whatever the request was', async () => {
    const bytes = await exchangeBytes(
      gateway.port(),
      Buffer.from('POST /x HTTP/1.1\r\nHost: main\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab'),
    );
    assert.equal(answerOf(bytes).text, 'not here: /404.html GET []');
  });

  test('with = and a status gives the answer that status', async () => {
    assert.equal((await at('/overwritten')).status, 200);
  });

  test('with = alone leaves the status to the page', async () => {
    assert.deepEqual(await at('/by-page'), { status: 418, text: 'a teapot', location: undefined });
  });

  test('may have variables, and arguments of its own', async () => {
    assert.equal((await at('/made?page=x.html')).text, 'made up');
    assert.equal((await at('/args?x=y')).text, 'not here: /404.html GET [page=args]');
  });

  test('on a level replaces those of the levels above', async () => {
    assert.match((await at('/own')).text, /<h1>404 Not Found<\/h1>/);
  });
});

describe('error_page with a name', () => {
  test('goes on in that location, with the URI and the method as they are', async () => {
    assert.deepEqual(await at('/named/x?a=b'), { status: 404, text: 'named: /named/x GET [a=b]', location: undefined });
    assert.equal((await at('/named-changed')).status, 202);
  });

  test('that no location has is 500', async () => {
    assert.equal((await at('/nowhere')).status, 500);
    assert.ok(gateway.lines().some((line) => line.includes('could not find named location "@missing"')));
  });
});

describe('error_page with a URL', () => {
  test('redirects there', async () => {
    assert.deepEqual(await at('/away/x').then(({ status, location }) => [status, location]), [
      302,
      'https://example.org/lost?from=/away/x',
    ]);
    assert.equal((await at('/away-301')).status, 301);
  });
});

describe('an error within an error page', () => {
  test('has the page of last resort', async () => {
    const { status, text } = await at('/twice');
    assert.equal(status, 503);
    assert.match(text, /503 Service Temporarily Unavailable/);
  });

  test('has a page of its own with recursive_error_pages', async () => {
    assert.deepEqual(await at('/again'), { status: 503, text: 'made up', location: undefined });
  });

  test('that never ends is ended after ten rounds', async () => {
    assert.equal((await at('/round')).status, 500);
    assert.ok(gateway.lines().some((line) => line.includes('rewrite or internal redirection cycle')));
  });
});

test('an error that only we number is told to the client as 400', async () => {
  const { status, text } = await at('/', 'Host: inner', `Cookie: ${'c'.repeat(9000)}`);
  assert.equal(status, 400);
  assert.equal(text, 'too large: 400');
});

// return: texts, redirects, errors, and how they go through error_page.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
        access_log off;
        server_tokens off;
        types { text/html html; }
        default_type text/x-default;
        server {
          listen 127.0.0.1:8080;
          location = /text { return 200 "you asked for $uri"; }
          location = /typed.html { return 200 "<p>"; }
          location = /empty { return 200; }
          location = /own { return 418 "short and stout"; }
          location = /gone { return 410; }
          location = /nothing { return 204; }
          location = /unknown { return 599; }
          location = /close { return 444; }
          location = /moved { return 301 /elsewhere?a=b; }
          location = /away { return 302 https://example.org$request_uri; }
          location = /url { return http://example.org/; }
          location = /scheme { return $scheme://example.org/; }
          location = /kept { return 308 /x; }
          location = /bare { return 303; }
          location = /relative { absolute_redirect off; return 301 /x; }
          location = /named { server_name_in_redirect on; return 301 /x; }
          location = /portless { port_in_redirect off; return 301 /x; }
          location = /first { return 200 one; return 200 two; }
          location = /page { error_page 404 /404.html; return 404; }
          location = /text-and-page { error_page 404 /404.html; return 404 "my own"; }
          location = /404.html { internal; return 200 "the page"; }
          location /decoded/ { return 301 $uri; }
          location = /status { return 202 "$status"; }
          location = /status-moved { return 302 /$status; }
          location = /status-of-error { error_page 410 /status; return 410; }
          location = /status-overwritten { error_page 410 = /status; return 410; }
        }
        server {
          listen 127.0.0.1:8081;
          server_name gate.example;
          return 200 "for all: $uri";
          location / { return 500; }
        }
    `,
  });
});

after(() => gateway.stop());

const at = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);

describe('return with a text', () => {
  test('knows in its text the status that it answers with', async () => {
    const answers = await Promise.all(['/status', '/status-of-error', '/status-overwritten'].map((path) => at(path)));
    assert.deepEqual(
      answers.map(({ status, text }) => [status, text]),
      [
        [202, '202'],
        [410, '410'],
        [202, '202'],
      ],
    );
    assert.match((await at('/status-moved')).headers.get('location') ?? '', /\/302$/);
  });

  test('answers with it, its variables filled in, and the type that the URI has', async () => {
    const plain = await at('/text');
    assert.deepEqual([plain.status, plain.text], [200, 'you asked for /text']);
    assert.equal(plain.headers.get('content-type'), 'text/x-default');
    assert.equal((await at('/typed.html')).headers.get('content-type'), 'text/html');
  });

  test('may have any status, and then no error page of ours', async () => {
    const { status, text } = await at('/own');
    assert.deepEqual([status, text], [418, 'short and stout']);
    const { status: missing, text: own } = await at('/text-and-page');
    assert.deepEqual([missing, own], [404, 'my own']);
  });

  test('is empty where there is none and the status is no error', async () => {
    const { status, headers, text } = await at('/empty');
    assert.deepEqual([status, headers.get('content-length'), text], [200, '0', '']);
  });

  test('has no body with 204', async () => {
    const { status, headers, text } = await at('/nothing');
    assert.deepEqual([status, headers.get('content-length'), text], [204, undefined, '']);
    assert.equal(headers.get('content-type'), undefined);
  });

  test('of several the first one counts', async () => {
    assert.equal((await at('/first')).text, 'one');
  });

  test('in a server it answers before a location is looked for', async () => {
    const { text } = await ask(gateway.port('127.0.0.1:8081'), 'GET /any');
    assert.equal(text, 'for all: /any');
  });
});

describe('return with an error alone', () => {
  test('answers with its page', async () => {
    const { status, text } = await at('/gone');
    assert.equal(status, 410);
    assert.match(text, /<h1>410 Gone<\/h1>/);
  });

  test('answers with error_page where there is one', async () => {
    const { status, text } = await at('/page');
    assert.deepEqual([status, text], [404, 'the page']);
  });

  test('answers a status that has no page with nothing', async () => {
    const { status, text } = await at('/unknown');
    assert.deepEqual([status, text], [599, '']);
  });

  test('444 closes without an answer', async () => {
    assert.equal((await at('/close')).whole, '');
  });
});

describe('return with a redirect', () => {
  test('makes a path absolute, with the port that the client came to', async () => {
    const { status, headers } = await at('/moved', 'Host: a.example:99');
    assert.equal(status, 301);
    assert.equal(headers.get('location'), `http://a.example:8080/elsewhere?a=b`);
  });

  test('leaves a URL as it is', async () => {
    const { status, headers } = await at('/away?x=y');
    assert.deepEqual([status, headers.get('location')], [302, 'https://example.org/away?x=y']);
  });

  test('needs no status for a URL: it is 302', async () => {
    const plain = await at('/url');
    assert.deepEqual([plain.status, plain.headers.get('location')], [302, 'http://example.org/']);
    assert.equal((await at('/scheme')).headers.get('location'), 'http://example.org/');
  });

  test('keeps the method with 308', async () => {
    assert.equal((await at('/kept')).status, 308);
  });

  test('without a URL has an empty Location, as in nginx', async () => {
    const { status, headers } = await at('/bare');
    assert.deepEqual([status, headers.get('location')], [303, '']);
  });

  test('stays relative with absolute_redirect off', async () => {
    assert.equal((await at('/relative')).headers.get('location'), '/x');
  });

  test('names no port with port_in_redirect off', async () => {
    assert.equal((await at('/portless', 'Host: a.example')).headers.get('location'), 'http://a.example/x');
  });

  test('takes the name of the request where the server has none to name', async () => {
    const { headers } = await at('/named', 'Host: a.example');
    assert.equal(headers.get('location'), `http://a.example:8080/x`);
  });

  test('cannot be split by what a client has encoded in its URI', async () => {
    const { headers, whole } = await at('/decoded/%0d%0aSet-Cookie:%20a=b');
    assert.match(headers.get('location') ?? '', /%0D%0ASet-Cookie/);
    assert.doesNotMatch(whole, /\r\nSet-Cookie/);
  });
});

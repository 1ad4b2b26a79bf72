// Pages, redirects and texts that we answer with ourselves.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { LocationSettings } from '../../src/exchange/settings.ts';
import { PENDING, type Verdict } from '../../src/exchange/verdict.ts';
import { sendErrorPage, sendRedirect, sendText } from '../../src/serve/answer.ts';
import { VERSION } from '../../src/version.ts';
import { locationSettings, serverSettings } from '../support/location-settings.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';
import { runServer } from '../support/running-server.ts';

function serve(
  t: TestContext,
  content: (exchange: Exchange) => Verdict,
  settings: Partial<LocationSettings> = {},
): Promise<number> {
  return runServer(t, serverSettings(locationSettings({ ...settings, content: [content] })));
}

/** A server whose whole path is the status that it answers with. */
function serveStatuses(t: TestContext, settings: Partial<LocationSettings> = {}): Promise<number> {
  return serve(t, (exchange) => Number(exchange.uri.slice(1)), settings);
}

function page(title: string, heading: string, product: string, more = ''): string {
  return (
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${heading}</h1></center>\r\n${more}` +
    `<hr><center>${product}</center>\r\n</body>\r\n</html>\r\n`
  );
}

test('a status is answered with a page of its own', async (t) => {
  const port = await serveStatuses(t);
  const answer = await ask(port, 'GET /404');
  assert.equal(answer.status, 404);
  assert.equal(answer.headers.get('content-type'), 'text/html');
  assert.equal(answer.headers.get('server'), `sockgate/${VERSION}`);
  assert.equal(answer.text, page('404 Not Found', '404 Not Found', `sockgate/${VERSION}`));
  assert.equal(answer.headers.get('content-length'), String(answer.body.length));
});

test('with server_tokens off no page and no header tells the version', async (t) => {
  const port = await serveStatuses(t, { serverTokens: 'off' });
  const answer = await ask(port, 'GET /502');
  assert.equal(answer.text, page('502 Bad Gateway', '502 Bad Gateway', 'sockgate'));
  assert.doesNotMatch(answer.whole, /sockgate\//);
});

test('a page says what nginx says, even where the status line says it otherwise', async (t) => {
  const port = await serveStatuses(t);
  const titles = [
    [302, 'Found'],
    [401, 'Authorization Required'],
    [408, 'Request Time-out'],
    [413, 'Request Entity Too Large'],
    [503, 'Service Temporarily Unavailable'],
    [504, 'Gateway Time-out'],
  ] as const;
  for (const [status, title] of titles) {
    const answer = await ask(port, `GET /${status}`);
    assert.equal(answer.status, status);
    assert.match(answer.text, new RegExp(`<title>${status} ${title}</title>`));
  }
});

test("nginx's own statuses are told as 400 with the reason", async (t) => {
  const port = await serveStatuses(t);
  const reasons = [
    [494, 'Request Header Or Cookie Too Large'],
    [495, 'The SSL certificate error'],
    [496, 'No required SSL certificate was sent'],
    [497, 'The plain HTTP request was sent to HTTPS port'],
  ] as const;
  for (const [status, reason] of reasons) {
    const answer = await ask(port, `GET /${status}`);
    const more = `<center>${reason}</center>\r\n`;
    assert.equal(answer.status, 400);
    assert.equal(answer.text, page(`400 ${reason}`, '400 Bad Request', `sockgate/${VERSION}`, more));
  }
});

test('a status without a page has an empty body', async (t) => {
  const port = await serveStatuses(t);
  const answer = await ask(port, 'GET /418');
  assert.equal(answer.status, 418);
  assert.equal(answer.headers.get('content-length'), '0');
  assert.equal(answer.headers.get('content-type'), undefined);
  assert.equal(answer.text, '');
});

test('204 has neither a body nor a length', async (t) => {
  const port = await serveStatuses(t);
  const answer = await ask(port, 'GET /204');
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('content-length'), undefined);
  assert.equal(answer.text, '');
});

test('444 closes the connection without a word', async (t) => {
  const port = await serveStatuses(t);
  assert.equal((await ask(port, 'GET /444')).whole, '');
});

test('HEAD gets the head of the page alone', async (t) => {
  const port = await serveStatuses(t);
  const [head, get] = [await ask(port, 'HEAD /404'), await ask(port, 'GET /404')];
  assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
  assert.equal(head.text, '');
});

test('a page takes what described another body out of the head, and leaves the rest', async (t) => {
  const port = await serve(t, (exchange) => {
    exchange.answer.set('ETag', '"x"');
    exchange.answer.set('Last-Modified', 'yesterday');
    exchange.answer.set('Accept-Ranges', 'bytes');
    exchange.answer.set('Content-Type', 'image/png');
    exchange.answer.set('Content-Range', 'bytes */5');
    sendErrorPage(exchange, 416);
    return PENDING;
  });
  const { headers } = await ask(port, 'GET /');
  assert.equal(headers.get('content-range'), 'bytes */5');
  assert.equal(headers.get('content-type'), 'text/html');
  for (const name of ['etag', 'last-modified', 'accept-ranges']) assert.equal(headers.get(name), undefined);
});

test('a text is sent with its type, byte by byte', async (t) => {
  const port = await serve(t, (exchange) => {
    sendText(exchange, 200, 'text/plain', 'caf\xe9');
    return PENDING;
  });
  const answer = await ask(port, 'GET /');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/plain');
  assert.equal(answer.headers.get('content-length'), '4');
  assert.deepEqual(answer.body, Buffer.from('caf\xe9', 'latin1'));
});

test('a text without a type has no Content-Type', async (t) => {
  const port = await serve(t, (exchange) => {
    sendText(exchange, 200, '', 'x');
    return PENDING;
  });
  assert.equal((await ask(port, 'GET /')).headers.get('content-type'), undefined);
});

test('the connection goes on after a page, and closes after one that doubts the request', async (t) => {
  const port = await serveStatuses(t);
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const answers = await exchangeBytes(port, Buffer.from(get('/404') + get('/403') + get('/400') + get('/404')));
  const statuses = answers.toString('latin1').match(/^HTTP\/1\.1 \d+/gm);
  assert.deepEqual(statuses, ['HTTP/1.1 404', 'HTTP/1.1 403', 'HTTP/1.1 400']);
});

test('HTTP/0.9 gets the page without a head', async (t) => {
  const port = await serveStatuses(t);
  const answer = await exchangeBytes(port, Buffer.from('GET /404\r\n'));
  assert.equal(answer.toString(), page('404 Not Found', '404 Not Found', `sockgate/${VERSION}`));
});

test('a redirect to a path names the host that was asked', async (t) => {
  const port = await serve(t, (exchange) => {
    sendRedirect(exchange, 301, '/there?x=1');
    return PENDING;
  });
  const answer = await ask(port, 'GET /', 'Host: Example.COM:81');
  assert.equal(answer.status, 301);
  assert.equal(answer.headers.get('location'), `http://example.com:${port}/there?x=1`);
  assert.match(answer.text, /<h1>301 Moved Permanently<\/h1>/);
});

test('a redirect to a URL leaves it as it is', async (t) => {
  const port = await serve(t, (exchange) => {
    sendRedirect(exchange, 307, 'https://elsewhere/x');
    return PENDING;
  });
  const answer = await ask(port, 'GET /');
  assert.deepEqual([answer.status, answer.headers.get('location')], [307, 'https://elsewhere/x']);
});

test('a decoded line break cannot split the head of a redirect', async (t) => {
  const port = await serve(t, (exchange) => {
    sendRedirect(exchange, 302, `http://elsewhere${exchange.uri}`);
    return PENDING;
  });
  const answer = answerOf(await exchangeBytes(port, Buffer.from('GET /%0d%0aSet-Cookie:%20a=b HTTP/1.0\r\n\r\n')));
  assert.equal(answer.headers.get('set-cookie'), undefined);
  assert.equal(answer.headers.get('location'), 'http://elsewhere/%0D%0ASet-Cookie: a=b');
});

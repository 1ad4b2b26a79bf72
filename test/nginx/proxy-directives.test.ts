// What of a request and its answer proxy_pass changes on the way: method, body, cookies, duplicates, addresses, X-Accel fields.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, fieldsOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, OK, startBackend } from '../support/recording-backend.ts';

async function start(t: TestContext, server: string, behaviour?: Behaviour, files?: Record<string, string>) {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; ${server} }`,
    ...(files === undefined ? {} : { files }),
  });
  t.after(() => gateway.stop());
  return { backend, gateway, client: await RawClient.to(t, gateway.port()) };
}

const get = (path = '/', ...fields: string[]): string =>
  `${[`GET ${path} HTTP/1.1`, 'Host: a', ...fields].join('\r\n')}\r\n\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answerWith = (...fields: string[]): string =>
  `${['HTTP/1.1 200 OK', ...fields, 'Content-Length: 2'].join('\r\n')}\r\n\r\nok`;

/** The backend sets the cookies that the query names. */
const setCookies: Behaviour = ({ startLine }) =>
  answerWith(
    ...decodeURIComponent(startLine.split(/[? ]/)[2] ?? '')
      .split('&')
      .map((cookie) => `Set-Cookie: ${cookie}`),
  );

async function cookiesAfter(t: TestContext, location: string, cookies: string[], host = 'a'): Promise<string[]> {
  const { client } = await start(t, `location / { proxy_pass http://backend; ${location} }`, setCookies);
  client.send(get(`/?${encodeURIComponent(cookies.join('&'))}`).replace('Host: a', `Host: ${host}`));
  return fieldsOf(await client.answer(), 'set-cookie');
}

test('proxy_cookie_domain: a whole domain, in any case, dots aside; the first that fits', async (t) => {
  const location = `
    proxy_cookie_domain localhost .example.org;
    proxy_cookie_domain www.$host $host;
    proxy_cookie_domain ~^\\.?([a-z]+)\\.peer$ $1.front;`;
  assert.deepEqual(
    await cookiesAfter(t, location, [
      'a=1; Domain=LOCALHOST; Path=/',
      'b=2;domain=.localhost',
      'c=3; domain=www.a',
      'd=4; domain=shop.peer; Secure',
      'e=5; domain=sub.localhost;x',
    ]),
    [
      'a=1; Domain=example.org; Path=/',
      'b=2; domain=.example.org',
      'c=3; domain=a',
      'd=4; domain=shop.front; Secure',
      'e=5; domain=sub.localhost;x',
    ],
  );
});

test('proxy_cookie_path: a beginning, or what an expression fits', async (t) => {
  const location =
    'proxy_cookie_path /two/ /; proxy_cookie_path ~*^/USER/([^/]+) /u/$1; proxy_cookie_path $uri /x$uri;';
  assert.deepEqual(
    await cookiesAfter(t, location, [
      'a=1; Path=/two/some/',
      'b=2; path=/user/ann/x; HttpOnly',
      'c=3; path=/Two/',
      'd',
    ]),
    ['a=1; Path=/some/', 'b=2; path=/u/ann; HttpOnly', 'c=3; path=/x/Two/', 'd'],
  );
});

test('proxy_cookie_flags: adds and takes away, by name, variable or expression; off takes all back', async (t) => {
  const location = `
    proxy_cookie_flags one httponly nosecure;
    proxy_cookie_flags TWO samesite=$host secure;
    proxy_cookie_flags ~^off nosamesite nohttponly;
    proxy_cookie_flags ~ samesite=strict;`;
  const cookies = ['One=1; Secure', 'two=2; SameSite=None; secure', 'off=3; HttpOnly; samesite=lax', 'else=4'];
  assert.deepEqual(await cookiesAfter(t, location, cookies, 'lax'), [
    'One=1; HttpOnly',
    'two=2; SameSite=Lax; secure',
    'off=3',
    'else=4; SameSite=Strict',
  ]);
  const off = await start(
    t,
    `proxy_cookie_flags ~ secure; location / { proxy_cookie_flags off; proxy_pass http://backend; }`,
    setCookies,
  );
  off.client.send(get('/?a=1'));
  assert.deepEqual(fieldsOf(await off.client.answer(), 'set-cookie'), ['a=1']);
});

test('proxy_set_body and proxy_method: another body with its own length, another method', async (t) => {
  const { backend, client } = await start(
    t,
    `location / { proxy_pass http://backend; proxy_method PUT; proxy_set_body "<$request_body|$arg_x>"; }
     location /head/ { proxy_pass http://backend; proxy_method $arg_m; }`,
  );
  client.send(post('/?x=1', 'hello'));
  await client.answer();
  client.send(get('/?x=2'));
  await client.answer(2);
  client.send(get('/head/?m=DELETE'));
  await client.answer(3);
  client.send(get('/head/'));
  await client.answer(4);
  assert.deepEqual(
    backend.requests.map(({ startLine, body }) => `${startLine} ${body}`),
    [
      'PUT /?x=1 HTTP/1.1 <hello|1>',
      'PUT /?x=2 HTTP/1.1 <|2>',
      'DELETE /head/?m=DELETE HTTP/1.1 ',
      'GET /head/ HTTP/1.1 ',
    ],
  );
  assert.deepEqual(fieldsOf(backend.requests[0] as never, 'content-length'), ['9']);
  client.send(get('/head/?m=a%20b').replace('a%20b', 'a,b'));
  assert.equal((await client.answer(5)).status, 500);
});

test('proxy_bind: the address that the backend sees; off and an empty value leave it to the system', async (t) => {
  const { backend, client, gateway } = await start(
    t,
    `proxy_bind 127.0.0.9;
     location / { proxy_pass http://backend; }
     location /variable/ { proxy_bind $arg_from; proxy_pass http://backend; }
     location /off/ { proxy_bind off; proxy_pass http://backend; }`,
  );
  for (const path of ['/', '/variable/?from=127.0.0.8', '/variable/', '/variable/?from=nobody', '/off/', '/'])
    client.send(get(path));
  await client.answer(6);
  assert.deepEqual(
    backend.connections.map(({ socket }) => socket.remoteAddress),
    ['127.0.0.9', '127.0.0.8', '127.0.0.1', '127.0.0.1'],
    'and connections are kept for their address',
  );
  assert.match(gateway.read('logs/error.log'), /\[error\] .* invalid local address "nobody"/);
});

test('what an answer may have once only: the first counts, the others are told to the log', async (t) => {
  const { client, gateway } = await start(t, 'location / { proxy_pass http://backend; }', () =>
    answerWith(
      'Expires: 1',
      'ETag: "a"',
      'Expires: 2',
      'etag: "b"',
      'Location: /x',
      'Location: /y',
      'Vary: a',
      'Vary: b',
    ),
  );
  client.send(get());
  const answer = await client.answer();
  for (const [name, values] of Object.entries({ expires: ['1'], etag: ['"a"'], vary: ['a', 'b'] }))
    assert.deepEqual(fieldsOf(answer, name), values);
  assert.equal(fieldsOf(answer, 'location').length, 1);
  const log = gateway.read('logs/error.log');
  assert.match(
    log,
    /\[warn\] .*upstream sent duplicate header line: "Expires: 2", previous value: "Expires: 1", ignored while reading/,
  );
});

test('X-Accel-Redirect: a file or a named location answers instead, with the fields that concern the content', async (t) => {
  const { client } = await start(
    t,
    `location / { proxy_pass http://backend; }
     location /files/ { internal; }
     location @named { return 200 "named $uri"; }
     location /ignored/ { proxy_ignore_headers X-Accel-Redirect; proxy_pass http://backend; }`,
    ({ startLine }) =>
      answerWith(
        `X-Accel-Redirect: ${startLine.split('?to=')[1]?.split(' ')[0] ?? '/files/a%20b.txt'}`,
        'Content-Type: text/x-own',
        'Set-Cookie: a=1',
        'Cache-Control: private',
        'X-Other: gone',
      ),
    { 'html/files/a b.txt': 'the file' },
  );
  client.send(post('/x', 'body'));
  const file = await client.answer();
  assert.equal(file.body.toString(), 'the file');
  assert.deepEqual(fieldsOf(file, 'content-type'), ['text/x-own']);
  assert.deepEqual(fieldsOf(file, 'set-cookie'), ['a=1']);
  assert.deepEqual(fieldsOf(file, 'x-other'), []);
  client.send(get('/?to=@named'));
  assert.equal((await client.answer(2)).body.toString(), 'named /');
  client.send(get('/?to=/files/../../x'));
  assert.equal((await client.answer(3)).status, 404);
  client.send(get('/ignored/?to=/files/'));
  assert.equal((await client.answer(4)).body.toString(), 'ok');
});

test('X-Accel-Limit-Rate paces the answer', async (t) => {
  const body = 'x'.repeat(3000);
  const { client } = await start(
    t,
    'location / { proxy_pass http://backend; }',
    () => `HTTP/1.1 200 OK\r\nX-Accel-Limit-Rate: 2000\r\nContent-Length: 3000\r\n\r\n${body}`,
  );
  client.send(get());
  await client.until('the first second’s worth', () => client.text.includes('xxx'));
  assert.equal(client.answers.length, 0);
  assert.equal((await client.answer()).body.length, 3000);
});

test('an intercepted 401 keeps what the client must know to try again', async (t) => {
  const { client } = await start(
    t,
    `location / { proxy_intercept_errors on; error_page 401 /page; proxy_pass http://backend; }
     location = /page { return 200 page; }`,
    () =>
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Digest\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n',
  );
  client.send(get());
  const answer = await client.answer();
  assert.equal(answer.status, 401);
  assert.deepEqual(fieldsOf(answer, 'www-authenticate'), ['Basic', 'Digest']);
  assert.equal(fieldOf(answer, 'x-a'), undefined);
});

test('a space that a variable puts into the URL for the backend is escaped', async (t) => {
  const { backend, client } = await start(t, 'location / { proxy_pass http://backend$uri?a=$arg_a; }', () => OK);
  client.send(get('/a%20b%0Ac?a=1'));
  await client.answer();
  assert.equal((await backend.request()).startLine, 'GET /a%20b%0Ac?a=1 HTTP/1.1');
});

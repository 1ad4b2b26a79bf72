// Header spoofing: a client pretends to be the gateway towards the backend (X-Forwarded-For and its like), takes away what the gateway
// says of it, sets what only one hop should hear, or sends names that trip a program up (`Proxy`, `__proto__`). What the configuration
// sets is what the backend gets, once; what concerns one hop ends here; and a name is a name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldOf, fieldsOf, type HttpMessage, namesOf } from '../support/http-reader.ts';
import { OK } from '../support/recording-backend.ts';
import { type AttackedGateway, attackedGateway } from './attacked-gateway.ts';

const SETTING = `
  location / {
      proxy_pass http://backend;
      proxy_set_header Host backend.example;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Empty "";
  }
`;

/** What the backend gets of a GET with these field lines. */
async function passed(attacked: AttackedGateway, ...lines: string[]): Promise<HttpMessage> {
  const before = attacked.backend.requests.length;
  const client = await attacked.send(['GET / HTTP/1.1', 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n'));
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [200],
    lines.join(' | '),
  );
  return attacked.backend.request(before + 1);
}

test('what the configuration sets cannot be sent by the client as well, in whatever case it writes the name', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING });
  const request = await passed(
    attacked,
    'X-Forwarded-For: 6.6.6.6',
    'x-forwarded-for: 7.7.7.7',
    'X-REAL-IP: 6.6.6.6',
    'X-Empty: mine',
  );
  assert.deepEqual(fieldsOf(request, 'x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(fieldsOf(request, 'x-real-ip'), ['127.0.0.1']);
  assert.deepEqual(fieldsOf(request, 'x-empty'), [], 'an empty value sends none, the client’s neither');
  assert.deepEqual(fieldsOf(request, 'host'), ['backend.example']);
  await attacked.isAlive();
});

test('a client cannot take our fields away by naming them in Connection; of its own, what it names ends here', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING });
  const request = await passed(
    attacked,
    'Connection: X-Forwarded-For, X-Real-IP, Host, Content-Length',
    'Connection: x-secret',
    'X-Secret: 1',
    'X-Other: 2',
  );
  assert.deepEqual(fieldsOf(request, 'x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(fieldsOf(request, 'x-real-ip'), ['127.0.0.1']);
  assert.deepEqual(fieldsOf(request, 'host'), ['backend.example']);
  assert.deepEqual(fieldsOf(request, 'x-secret'), []);
  assert.deepEqual(fieldsOf(request, 'x-other'), ['2']);
  await attacked.isAlive();
});

test('a body keeps its framing when Connection names it', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING });
  const client = await attacked.send(
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close, content-length\r\nContent-Length: 5\r\n\r\nhello',
  );
  assert.equal(client.answers[0]?.status, 200);
  const request = await attacked.backend.request();
  assert.equal(fieldOf(request, 'content-length'), '5');
  assert.equal(request.body.toString(), 'hello');
});

test('names that a CGI-like backend would take for others are dropped: an underscore, a dot, what is not ASCII', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING });
  const request = await passed(
    attacked,
    'X_Forwarded_For: 6.6.6.6',
    'X_Real_IP: 6.6.6.6',
    'X.Forwarded.For: 6.6.6.6',
    'X-Forw\xe4rded-For: 6.6.6.6',
    'X-Kept: 1',
  );
  assert.doesNotMatch(request.head, /6\.6\.6\.6/);
  assert.deepEqual(fieldsOf(request, 'x-kept'), ['1']);
  await attacked.isAlive();
});

test('with underscores_in_headers on, what the configuration sets still stands beside it once', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING, http: 'underscores_in_headers on;' });
  const request = await passed(attacked, 'X_Forwarded_For: 6.6.6.6');
  assert.deepEqual(fieldsOf(request, 'x_forwarded_for'), ['6.6.6.6']);
  assert.deepEqual(fieldsOf(request, 'x-forwarded-for'), ['127.0.0.1']);
});

test('what concerns one hop, and what a CGI would take for its own setting, ends here', async (t) => {
  const attacked = await attackedGateway(t, { server: SETTING });
  const request = await passed(
    attacked,
    'Proxy: http://evil.example/',
    'Keep-Alive: timeout=1000',
    'TE: trailers',
    'Trailer: X-Sum',
    'Proxy-Connection: keep-alive',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'Upgrade: websocket',
    'Expect: 100-continue',
    'Accept: text/html',
  );
  assert.deepEqual(namesOf(request), ['host', 'x-real-ip', 'x-forwarded-for', 'accept']);
  await attacked.isAlive();
});

test('trailers of a request, announced or not, do not reach the backend and harm nobody', async (t) => {
  const attacked = await attackedGateway(t);
  for (const announced of ['Trailer: X-Sum\r\n', 'Trailer: Content-Length\r\n', '']) {
    const client = await attacked.send(
      `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${announced}Transfer-Encoding: chunked\r\n\r\n` +
        '2\r\nhi\r\n0\r\nX-Sum: 1\r\nContent-Length: 99\r\n\r\n',
    );
    assert.equal(client.answers[0]?.status, 200);
    const request = attacked.backend.requests.at(-1) as HttpMessage;
    assert.doesNotMatch(request.head, /trailer|x-sum|99/i);
    assert.equal(request.body.toString(), 'hi');
  }
  await attacked.isAlive();
});

test('fields of a backend that concern one hop end here, announced trailers of an answer without a body too', async (t) => {
  for (const status of ['200 OK', '204 No Content', '304 Not Modified']) {
    const body = status.startsWith('200')
      ? 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'
      : '\r\n';
    const answer = `HTTP/1.1 ${status}\r\nTrailer: X-Sum\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: h2c\r\nX-Kept: 1\r\n${body}`;
    const attacked = await attackedGateway(t, { behaviour: () => answer });
    const client = await attacked.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const message = client.answers[0] as HttpMessage;
    assert.equal(message.status, Number(status.slice(0, 3)));
    assert.doesNotMatch(message.head, /x-sum|timeout=9/i);
    const dropped = namesOf(message).filter((name) => /^(?:x-hop|proxy-connection|te|trailer|upgrade)$/.test(name));
    assert.deepEqual(dropped, []);
    assert.equal(fieldOf(message, 'x-kept'), '1');
    await attacked.isAlive();
  }
});

const TRICKY = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__'];

test('names that objects of JavaScript have are names like any other, in fields, arguments and cookies', async (t) => {
  const variables = TRICKY.flatMap((name) => [`$http_${name}`, `$arg_${name}`, `$cookie_${name}`]).map((name) =>
    name.toLowerCase(),
  );
  const attacked = await attackedGateway(t, {
    http: `
      underscores_in_headers on;
      log_format tricky '$status|${variables.join('|')}';
      map $arg_key $mapped { default none; known one; }
    `,
    server: `
      access_log logs/tricky.log tricky;
      location / { proxy_pass http://backend; proxy_set_header X-Mapped $mapped; }
    `,
  });
  for (const key of ['known', ...TRICKY]) {
    const args = TRICKY.map((name) => `${name}=a`).join('&');
    const cookies = TRICKY.map((name) => `${name}=c`).join('; ');
    const fields = TRICKY.map((name) => `${name}: h\r\n`).join('');
    const client = await attacked.send(
      `GET /?key=${key}&${args} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${cookies}\r\n${fields}\r\n`,
    );
    assert.equal(client.answers[0]?.status, 200);
    const request = attacked.backend.requests.at(-1) as HttpMessage;
    assert.equal(fieldOf(request, 'x-mapped'), key === 'known' ? 'one' : 'none', key);
    for (const name of TRICKY) assert.equal(fieldOf(request, name), 'h', name);
  }
  for (const line of attacked.gateway.lines('logs/tricky.log')) {
    assert.match(line, /^200\|/);
    for (const value of line.split('|').slice(1)) assert.match(value, /^[hac]$/);
  }
  await attacked.isAlive();
});

test('the same names from a backend pass, and variables made of them are what it said', async (t) => {
  const fields = TRICKY.map((name) => `${name}: u\r\n`).join('');
  const attacked = await attackedGateway(t, {
    http: "log_format tricky '$upstream_http_constructor|$sent_http_constructor|$upstream_http_valueof';",
    server: 'access_log logs/tricky.log tricky; location / { proxy_pass http://backend; }',
    behaviour: () => OK.replace('\r\n\r\n', `\r\n${fields}\r\n`),
  });
  const client = await attacked.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  for (const name of TRICKY) assert.equal(fieldOf(client.answers[0] as HttpMessage, name), 'u', name);
  assert.deepEqual(attacked.gateway.lines('logs/tricky.log'), ['u|u|u']);
  await attacked.isAlive();
});

test('hundreds of fields of one name, or with names like numbers, are passed on as they are', async (t) => {
  const attacked = await attackedGateway(t);
  const request = await passed(
    attacked,
    ...Array.from({ length: 300 }, (_, i) => `Cookie: a${i}=1`),
    ...Array.from({ length: 300 }, (_, i) => `${i}: n`),
  );
  assert.equal(fieldsOf(request, 'cookie').length, 300);
  assert.equal(fieldOf(request, '299'), 'n');
  await attacked.isAlive();
});

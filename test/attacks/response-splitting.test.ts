// Response splitting: `$uri` and captures are decoded, so `%0d%0a` in a path is a line break in a variable. In a redirect, an
// `add_header` or a `proxy_set_header` it would end the field, and the client would write the rest of the message (nginx lets it).
// No CR, LF or NUL that came by a variable is ever written into a head, and none into a log.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsOf, type HttpMessage, namesOf } from '../support/http-reader.ts';
import { type AttackedGateway, attackedGateway } from './attacked-gateway.ts';

const ATTACK = '%0d%0aInjected:%20yes%0d%0a%0d%0aHTTP/1.1%20200%20OK%0a%0aInjected2:%20yes%0dInjected3:%20yes';
/** What may not stand in a log but the end of each line; DEL is nothing special in JSON. */
const CONTROLS = /[\0-\x09\x0b-\x1f\x7f]/;
const CONTROLS_IN_JSON = /[\0-\x09\x0b-\x1f]/;

/** What came back, which must be one answer whose head has no field of the attacker's and no control character. */
async function answerTo(attacked: AttackedGateway, path: string, ...lines: string[]): Promise<HttpMessage> {
  const request = [`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n');
  const client = await attacked.send(request);
  assert.equal(client.answers.length, 1, `${path}: ${client.text}`);
  const answer = client.answers[0] as HttpMessage;
  assert.deepEqual(
    namesOf(answer).filter((name) => name.startsWith('injected')),
    [],
    path,
  );
  for (const field of answer.fields) assert.doesNotMatch(field, /[\0-\x1f\x7f]/, path);
  assert.equal(client.rest.length, 0, path);
  return answer;
}

test('a redirect to what the client wrote is one redirect', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      location /uri/ { return 302 http://x.example$uri; }
      location /document/ { return 301 http://x.example$document_uri; }
      location ~ ^/capture/([\\s\\S]*)$ { return 307 http://x.example/$1; }
      location ~ ^/named/(?<rest>[\\s\\S]*)$ { return 308 http://x.example/$rest; }
      location /relative/ { return 303 $uri; }
      location /alone/ { return http://x.example$uri; }
      location /field/ { return 302 http://x.example/$http_x; }
      location /argument/ { return 302 http://x.example/$arg_x; }
      location /mistake/ { error_page 403 http://x.example$uri; return 403; }
      location /mistake2/ { error_page 403 =301 http://x.example$uri; return 403; }
    `,
  });
  for (const name of ['uri', 'document', 'capture', 'named', 'relative', 'alone', 'mistake', 'mistake2']) {
    const answer = await answerTo(attacked, `/${name}/${ATTACK}`);
    assert.match(`${answer.status}`, /^30[1-8]$/, name);
    assert.equal(fieldsOf(answer, 'location').length, 1, name);
  }
  const argument = await answerTo(attacked, `/argument/?x=${ATTACK}`);
  assert.deepEqual(fieldsOf(argument, 'location'), [`http://x.example/${ATTACK}`], 'an argument stays encoded');
  await answerTo(attacked, '/field/', 'X: a\tb');
  await attacked.isAlive();
});

test('a redirect of a folder’s name to the folder is one redirect', async (t) => {
  const attacked = await attackedGateway(t, {
    server: 'root html; location / { } location /app/ { proxy_pass http://backend; }',
    files: { 'html/a\r\nInjected: yes/x': 'x' },
  });
  const answer = await answerTo(attacked, '/a%0d%0aInjected:%20yes');
  assert.equal(answer.status, 301);
  assert.match(fieldsOf(answer, 'location').join(), /^http:\/\/a:\d+\/a%0D%0AInjected:%20yes\/$/);
  await attacked.isAlive();
});

test('a field that add_header makes of what the client wrote is one field, or none', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      add_header X-Uri $uri always;
      location /uri/ { return 200 ok; }
      location ~ ^/capture/([\\s\\S]*)$ { add_header X-Capture $1; return 200 ok; }
      location /argument/ { add_header X-Argument $arg_x; return 200 ok; }
      location /field/ { add_header X-Field $http_x; return 200 ok; }
      location /proxied/ { proxy_pass http://backend; }
      location /missing/ { return 404; }
    `,
  });
  for (const name of ['uri', 'capture', 'proxied', 'missing']) await answerTo(attacked, `/${name}/${ATTACK}`);
  const argument = await answerTo(attacked, `/argument/?x=${ATTACK}`);
  assert.deepEqual(fieldsOf(argument, 'x-argument'), [ATTACK]);
  await attacked.isAlive();
});

test('the body of a return may hold what the client wrote: its length says where it ends', async (t) => {
  const attacked = await attackedGateway(t, { server: 'location / { return 200 $uri; }' });
  const answer = await answerTo(attacked, '/a%0d%0ab');
  assert.equal(answer.body.toString('latin1'), '/a\r\nb');
});

test('a request to the backend that would be split is not sent', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      location /set/ { proxy_pass http://backend; proxy_set_header X-Uri $uri; }
      location ~ ^/capture/([\\s\\S]*)$ { proxy_pass http://backend; proxy_set_header X-Capture $1; }
      location /host/ { proxy_pass http://backend; proxy_set_header Host $uri; }
    `,
  });
  for (const name of ['set', 'capture', 'host']) {
    const answer = await answerTo(attacked, `/${name}/${ATTACK}`);
    assert.equal(answer.status, 500, name);
  }
  assert.equal(attacked.backend.bytes, 0);
  await attacked.isAlive();
});

test('what variables put into a URL for the backend is escaped where it would end the line', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      location /variable/ { proxy_pass http://backend$uri; }
      location ~ ^/rest/([\\s\\S]*)$ { proxy_pass http://backend/$1; }
    `,
  });
  for (const name of ['variable', 'rest']) await answerTo(attacked, `/${name}/${ATTACK}`);
  assert.deepEqual(
    attacked.backend.requests.map(({ startLine }) => /^GET \S*%0D%0A\S* HTTP\/1\.1$/.test(startLine)),
    [true, true],
  );
  for (const { fields } of attacked.backend.requests) assert.equal(fields.length, 1, fields.join());
  await attacked.isAlive();
});

test('where proxy_pass replaces a part of the path, the rest is escaped anew; where it does not, it stays as it was sent', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      location /replaced/ { proxy_pass http://backend/app/; }
      location /same/ { proxy_pass http://backend; }
    `,
  });
  await answerTo(attacked, '/replaced/a/../b%2fc//d%0d%0aInjected:%20yes%00'.replace('%00', ''));
  await answerTo(attacked, '/same/a/../b%2fc//d%0d%0aInjected:%20yes');
  assert.deepEqual(
    attacked.backend.requests.map(({ startLine }) => startLine),
    ['GET /app/b/c/d%0D%0AInjected:%20yes HTTP/1.1', 'GET /same/a/../b%2fc//d%0d%0aInjected:%20yes HTTP/1.1'],
  );
  await attacked.isAlive();
});

test('a log has one line for each request, without control characters, whatever the client wrote', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `
      log_format plain '$uri|$arg_x|$http_x|$http_referer|$request';
      log_format json escape=json '{"uri":"$uri","x":"$http_x","agent":"$http_user_agent"}';
    `,
    server: `
      access_log logs/plain.log plain;
      access_log logs/json.log json;
      access_log logs/combined.log;
      location ~ ^/log/([\\s\\S]*)$ { return 204; }
      location / { return 404; }
    `,
  });
  const evil = '\x1b]0;evil\x07"\\x22\t\x9b31m';
  const requests = [
    `GET /log/a${ATTACK}?x=%0a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ${evil.replaceAll(CONTROLS_IN_FIELD, '')}\r\n\r\n`,
    `GET /log/%1b%5b31m%07%7f%22%5c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nReferer: "\\\xff\r\n\r\n`,
    `GET /log/\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${evil}\0\r\n\r\n`,
    'G\x1b[31mET / HTTP/1.1\r\n\r\n',
  ];
  for (const request of requests) await attacked.send(request);
  for (const name of ['plain', 'json', 'combined']) {
    const text = attacked.gateway.read(`logs/${name}.log`);
    assert.equal(text.split('\n').length - 1, requests.length, `${name}: ${text}`);
    assert.doesNotMatch(text, name === 'json' ? CONTROLS_IN_JSON : CONTROLS, name);
  }
  for (const line of attacked.gateway.lines('logs/json.log'))
    assert.ok(JSON.parse(Buffer.from(line, 'latin1').toString()));
  assert.match(attacked.gateway.lines('logs/plain.log')[0] ?? '', /^\/log\/a\\x0D\\x0AInjected: yes\\x0D\\x0A/);
  assert.doesNotMatch(attacked.gateway.read('logs/error.log'), CONTROLS);
  await attacked.isAlive();
});

/** A tab may stand in a field. */
const CONTROLS_IN_FIELD = /[\0-\x08\x0a-\x1f\x7f]/g;

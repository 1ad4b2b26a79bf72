// proxy_pass and its like: what the upstream is asked, and what the client gets of its answer.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask, exchangeBytes, type RawAnswer } from '../support/raw-http.ts';
import { fieldSeen, TellingPeer, type ToldRequest } from '../support/telling-peer.ts';

let gateway: RunningGateway;
let peer: TellingPeer;
let port = 0;

before(async () => {
  peer = await TellingPeer.start();
  ({ port } = peer);
  const dead = await freePort();
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      log_format target "$proxy_host $proxy_port $upstream_addr $upstream_status $upstream_http_x_peer $upstream_cookie_SID [$upstream_response_length] $upstream_connect_time";
      log_format body "$request_body";
      upstream group { server 127.0.0.1:${port}; }
      map $arg_to $made { default group; address 127.0.0.1:${port}; name nowhere.invalid; }
      map $arg_scheme $scheme_made { default http; }
      proxy_set_header X-Http http;
      server {
        listen 127.0.0.1:8080;
        server_name front.example;
        location /plain/ { proxy_pass http://127.0.0.1:${port}; }
        location /slash/ { proxy_pass http://127.0.0.1:${port}/; }
        location /uri/ { proxy_pass http://127.0.0.1:${port}/other/path; }
        location /query/ { proxy_pass http://127.0.0.1:${port}/?fixed=; }
        location = /exact { proxy_pass http://127.0.0.1:${port}/to; }
        location ~ ^/regex/ { proxy_pass http://127.0.0.1:${port}; }
        location /group/ { proxy_pass http://GROUP; }
        location /made/ { proxy_pass http://$made; }
        location /made-uri/ { proxy_pass http://$made/fixed?u=$uri; }
        location /scheme/ { proxy_pass $scheme_made://127.0.0.1:${port}; }
        location /no-scheme/ { proxy_pass $arg_to; }
        location /page/ { error_page 404 @page; return 404; }
        location @page { proxy_pass http://group; }
        location /old/ { proxy_http_version 1.0; proxy_pass http://group; }
        location /body/ { access_log logs/body.log body; proxy_set_header X-Body $request_body; proxy_pass http://group; }
        location /body/large/ { access_log logs/body.log body; client_body_buffer_size 4; proxy_pass http://group; }
        location /headers/ {
          proxy_set_header Host $http_host;
          proxy_set_header X-Real-IP $remote_addr;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header X-Empty "";
          proxy_set_header Accept-Encoding "";
          proxy_set_header X-Bytes "grün";
          proxy_pass http://group;
        }
        location /bare/ { proxy_pass_request_headers off; proxy_pass_request_body off; proxy_pass http://group; }
        location /hide/ {
          proxy_hide_header X-Secret;
          proxy_pass_header Server;
          proxy_pass_header X-Accel-Charset;
          proxy_pass http://group;
          location /hide/inner/ { proxy_pass http://group; }
          location /hide/own/ { proxy_hide_header X-Other; proxy_pass http://group; }
        }
        location /log/ { access_log logs/target.log target; proxy_pass http://group; }
        location /intercepted/ { proxy_intercept_errors on; error_page 404 =200 /found; proxy_pass http://group; }
        location = /found { return 200 "our own"; }
        location /refused/ { proxy_pass http://127.0.0.1:${dead}; }
        location /small-head/ { proxy_buffer_size 1k; proxy_pass http://group; }
        location /length/ { proxy_set_header Content-Length 5; proxy_pass http://group; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  peer.stop();
});

const get = (path: string, ...fields: string[]): Promise<RawAnswer> => ask(gateway.port(), `GET ${path}`, ...fields);
const told = async (path: string, ...fields: string[]): Promise<ToldRequest> =>
  JSON.parse((await get(path, ...fields)).body.toString()) as ToldRequest;
const line = async (path: string): Promise<string> => (await told(path)).line;

describe('the URI that the upstream is asked for', () => {
  test('is what the client sent where proxy_pass has none', async () => {
    assert.equal(await line('/plain/%61//b/../c?d=%65'), 'GET /plain/%61//b/../c?d=%65 HTTP/1.1');
    assert.equal(await line('/regex/%61'), 'GET /regex/%61 HTTP/1.1');
  });

  test('has its beginning replaced by that of proxy_pass, and is escaped anew', async () => {
    assert.equal(await line('/slash/a%20b/%3F?c=%64'), 'GET /a%20b/%3F?c=%64 HTTP/1.1');
    assert.equal(await line('/uri/x'), 'GET /other/pathx HTTP/1.1');
    assert.equal(await line('/exact'), 'GET /to HTTP/1.1');
    assert.equal(await line('/query/x'), 'GET /?fixed=x HTTP/1.1');
  });

  test('with variables is theirs, or what the client sent where they have none', async () => {
    assert.equal(await line('/made/%61?b'), 'GET /made/%61?b HTTP/1.1');
    assert.equal(await line('/made-uri/x?c'), 'GET /fixed?u=/made-uri/x HTTP/1.1');
  });

  test('is that of the request in a named location', async () => {
    assert.equal(await line('/page/%61?b'), 'GET /page/%61?b HTTP/1.1');
  });
});

describe('where a request goes', () => {
  test('an upstream is found in any case of its name', async () => {
    assert.equal(await line('/group/'), 'GET /group/ HTTP/1.1');
  });

  test('a variable may name an upstream or an address', async () => {
    assert.equal(fieldSeen(await told('/made/'), 'host'), 'group');
    assert.equal(fieldSeen(await told('/made/?to=address'), 'host'), `127.0.0.1:${port}`);
  });

  test('a variable may name the scheme', async () => {
    assert.equal(await line('/scheme/'), 'GET /scheme/ HTTP/1.1');
  });

  test('a host name made of a variable is 502, for there is no resolver', async () => {
    assert.equal((await get('/made/?to=name')).status, 502);
    assert.ok(gateway.lines().some((one) => one.includes('no resolver defined to resolve nowhere.invalid')));
  });

  test('what is no URL is 500', async () => {
    assert.equal((await get('/no-scheme/?to=ftp://x')).status, 500);
    assert.ok(gateway.lines().some((one) => one.includes('invalid URL prefix in "ftp://x"')));
  });

  test('a peer that refuses is 502', async () => {
    assert.equal((await get('/refused/')).status, 502);
    assert.ok(gateway.lines().some((one) => one.includes('(111: Connection refused) while connecting to upstream')));
  });
});

describe('the fields that the upstream is sent', () => {
  test('are those of the client, without what ends at this hop, and Host is the name of the upstream', async () => {
    const request = await told('/group/', 'X-Client: 1', 'TE: trailers', 'Proxy-Connection: x', 'Keep-Alive: 5');
    assert.equal(fieldSeen(request, 'host'), 'GROUP');
    assert.equal(fieldSeen(request, 'x-client'), '1');
    for (const name of ['te', 'proxy-connection', 'keep-alive', 'connection'])
      assert.equal(fieldSeen(request, name), undefined, name);
  });

  test('are set by proxy_set_header, and an empty value sends none', async () => {
    const request = await told(
      '/headers/',
      'Host: front.example:99',
      'X-Forwarded-For: 10.0.0.1',
      'X-Empty: x',
      'Accept-Encoding: gzip',
    );
    assert.equal(fieldSeen(request, 'host'), 'front.example:99');
    assert.equal(fieldSeen(request, 'x-real-ip'), '127.0.0.1');
    assert.equal(fieldSeen(request, 'x-forwarded-for'), '10.0.0.1, 127.0.0.1');
    assert.equal(fieldSeen(request, 'x-empty'), undefined);
    assert.equal(fieldSeen(request, 'accept-encoding'), undefined);
    assert.equal(fieldSeen(request, 'x-bytes'), Buffer.from('grün').toString('latin1'));
  });

  test('a level takes from the one above only where it sets none itself', async () => {
    assert.equal(fieldSeen(await told('/group/'), 'x-http'), 'http');
    assert.equal(fieldSeen(await told('/headers/'), 'x-http'), undefined);
  });

  test('may leave out all of the client, and its body', async () => {
    const bytes = await exchangeBytes(
      gateway.port(),
      Buffer.from('POST /bare/ HTTP/1.1\r\nHost: x\r\nX-Client: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab'),
    );
    const request = JSON.parse(answerOf(bytes).text) as ToldRequest;
    assert.deepEqual(
      [request.body, fieldSeen(request, 'x-client'), fieldSeen(request, 'x-http')],
      ['', undefined, 'http'],
    );
  });

  test('a body goes with them, with the length that it has', async () => {
    const bytes = await exchangeBytes(
      gateway.port(),
      Buffer.from(
        'POST /group/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n',
      ),
    );
    const request = JSON.parse(answerOf(bytes).text) as ToldRequest;
    assert.deepEqual([request.body, fieldSeen(request, 'content-length')], ['abc', '3']);
  });

  test('a body that was gathered whole is a variable', async () => {
    const post = async (path: string): Promise<ToldRequest> => {
      const head = 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n';
      const bytes = await exchangeBytes(gateway.port(), Buffer.from(`POST ${path} ${head}hello`));
      return JSON.parse(answerOf(bytes).text) as ToldRequest;
    };
    assert.equal(fieldSeen(await post('/body/'), 'x-body'), 'hello');
    assert.equal(fieldSeen(await post('/body/large/'), 'x-body'), undefined);
    assert.deepEqual(gateway.lines('logs/body.log'), ['hello', '-']);
  });

  test('HTTP/1.0 is spoken where proxy_http_version says so', async () => {
    assert.equal(await line('/old/'), 'GET /old/ HTTP/1.0');
  });

  test('no second framing can be set: a warning says so', async () => {
    assert.equal(fieldSeen(await told('/length/'), 'content-length'), undefined);
    assert.ok(gateway.warnings.some((one) => one.includes('"proxy_set_header Content-Length" has no effect')));
  });
});

describe('the answer that the client gets', () => {
  test('has the fields of the peer without those that proxy_hide_header and nginx hide', async () => {
    const fields = '?Server=peer&X-Secret=1&X-Other=2&X-Accel-Charset=x&X-Pad=y&X-Free=3';
    const seen = async (path: string): Promise<(string | undefined)[]> => {
      const { headers } = await get(`${path}${fields}`);
      return ['server', 'x-secret', 'x-other', 'x-accel-charset', 'x-pad', 'x-free'].map((name) => headers.get(name));
    };
    assert.deepEqual((await seen('/group/')).slice(1), ['1', '2', undefined, undefined, '3']);
    assert.match((await seen('/group/'))[0] ?? '', /^sockgate/);
    assert.deepEqual(await seen('/hide/'), ['peer', undefined, '2', 'x', undefined, '3']);
    assert.deepEqual(await seen('/hide/inner/'), ['peer', undefined, '2', 'x', undefined, '3']);
    assert.deepEqual(await seen('/hide/own/'), ['peer', '1', undefined, 'x', undefined, '3']);
  });

  test('is replaced by error_page with proxy_intercept_errors', async () => {
    const { status, text } = await get('/intercepted/?status=404');
    assert.deepEqual([status, text], [200, 'our own']);
    assert.equal((await get('/group/?status=404')).status, 404);
  });

  test('is 502 where its head is larger than proxy_buffer_size', async () => {
    assert.equal((await get(`/small-head/?X-Long=${'x'.repeat(2000)}`)).status, 502);
    assert.ok(gateway.lines().some((one) => one.includes('upstream sent too big header')));
  });
});

test('the variables of the upstream tell what it was asked and answered', async () => {
  await get('/log/?status=201&X-Peer=one&Set-Cookie=sid=abc;%20Path=/');
  assert.match(
    gateway.lines('logs/target.log')[0] ?? '',
    new RegExp(`^group 80 127\\.0\\.0\\.1:${port} 201 one abc \\[\\d+\\] 0\\.\\d{3}$`),
  );
});

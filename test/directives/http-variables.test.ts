// The variables of the http core, each held against what nginx's documentation says of it.

import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      underscores_in_headers on;
      log_format sent "$status $bytes_sent $body_bytes_sent $request_completion $sent_http_content_type $sent_http_x_own $sent_http_connection $sent_http_keep_alive $sent_http_transfer_encoding $sent_http_content_length $sent_http_location $request_length";
      log_format times "$request_time $connection_time $msec $pipe $connection_requests";
      log_format missing "$limit_rate $tcpinfo_rtt $proxy_protocol_addr $proxy_protocol_tlv_x $request_body $sent_trailer_x $upstream_addr $upstream_cache_status $ssl_protocol $https $proxy_host";
      server {
        listen 127.0.0.1:8080;
        server_name first.example second.example;
        access_log off;
        location / { return 200 "$arg_v"; }
        location /text { return 200 "$host|$http_host|$server_name|$hostname|$scheme|$https|$request_port|$is_request_port"; }
        location /request { return 200 "$request|$request_method|$request_uri|$uri|$document_uri|$args|$query_string|$is_args|$server_protocol"; }
        location /arg { return 200 "$arg_a|$arg_B|$arg_none|$ARG_A"; }
        location /field { return 200 "$http_x_one|$http_x_two|$http_cookie|$content_type|$content_length|$http_under_score"; }
        location /cookie { return 200 "$cookie_a|$cookie_B|$cookie_none|$cookie_sp"; }
        location /connection { return 200 "$remote_addr|$remote_port|$server_addr|$server_port|$connection|$connection_requests|$pid"; }
        location /binary { return 200 "$binary_remote_addr"; }
        location /user { return 200 "[$remote_user]"; }
        location /id { return 200 "$request_id $request_id"; }
        location /time { return 200 "$time_local|$time_iso8601|$msec"; }
        location /dates { return 200 "$date_gmt|$date_local"; }
        location /version { return 200 "$nginx_version"; }
        location /braces { return 200 "\${host}name \${arg_a}\${arg_b}"; }
        location /sent { access_log logs/sent.log sent; keepalive_timeout 60s 20s; add_header X-Own own; return 200 12345; }
        location /moved { access_log logs/sent.log sent; return 301 /x; }
        location /times { access_log logs/times.log times; return 200; }
        location /missing { access_log logs/missing.log missing; return 200; }
        location /page { error_page 404 =200 /request?c=d; return 404; }
      }
      server { listen 127.0.0.1:8081; return 200 "[$host][$server_name]"; }
    `,
  });
});

after(() => gateway.stop());

const get = async (path: string, ...fields: string[]): Promise<string> =>
  (await ask(gateway.port(), `GET ${path}`, ...fields)).text;
const raw = async (...lines: string[]): Promise<string> =>
  answerOf(await exchangeBytes(gateway.port(), Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'))).text;

describe('who is asked', () => {
  test('$host is from the request line, else from Host, in lower case and without port', async () => {
    const machine = hostname();
    assert.equal(
      await get('/text', 'Host: Second.Example:99'),
      `second.example|Second.Example:99|first.example|${machine}|http||99|:`,
    );
    assert.match(
      await raw('GET http://Third.example:77/text HTTP/1.1', 'Host: other', 'Connection: close'),
      /^third\.example\|.*\|first\.example\|.*\|http\|\|77\|:$/,
    );
    assert.match(await get('/text', 'Host: second.example'), /\|http\|\|\|$/);
  });

  test('$host is the name of the server where nobody is named', async () => {
    assert.match(await raw('GET /text HTTP/1.0'), /^first\.example\|\|first\.example\|/);
    const bytes = await exchangeBytes(gateway.port('127.0.0.1:8081'), Buffer.from('GET / HTTP/1.0\r\n\r\n'));
    assert.equal(answerOf(bytes).text, '[][]');
  });
});

describe('what is asked', () => {
  test('$request_uri is as sent, $uri as it is understood', async () => {
    assert.equal(
      await get('/%72equest//./x?a=%20&b'),
      'GET /%72equest//./x?a=%20&b HTTP/1.1|GET|/%72equest//./x?a=%20&b|/request/x|/request/x|a=%20&b|a=%20&b|?|HTTP/1.1',
    );
  });

  test('$uri changes with an internal redirect, $request_uri does not', async () => {
    assert.match(await get('/page?a=b'), /\|GET\|\/page\?a=b\|\/request\|\/request\|c=d\|c=d\|\?\|HTTP\/1\.1$/);
  });

  test('$arg_NAME is the first argument of that name, in any case, as sent', async () => {
    assert.equal(await get('/arg?xa=0&A=%41&a=2&b=&c'), '%41|||%41');
    assert.equal(await get('/arg?a'), '|||');
  });

  test('$http_NAME joins fields of one name, cookies by semicolons', async () => {
    assert.equal(
      await get('/field', 'X-One: 1', 'X_Two: 2', 'x-one: 3', 'Cookie: a=1', 'Cookie: b=2', 'Content-Type: t/x'),
      '1, 3|2|a=1; b=2|t/x||',
    );
    assert.match(await get('/field', 'Under_Score: yes'), /\|yes$/);
  });

  test('$cookie_NAME is found among all fields, in any case of its name', async () => {
    assert.equal(await get('/cookie', 'Cookie: xa=0; A=1,2; a=3', 'Cookie: b="q; sp = 1 '), '1,2|"q||1');
  });

  test('$content_length is what the client says', async () => {
    const answer = await raw('POST /field HTTP/1.1', 'Host: x', 'Content-Length: 2', 'Connection: close', '', 'ab');
    assert.equal(answer, '||||2|');
  });

  test('$remote_user is the name of Basic authorization', async () => {
    const basic = (text: string) => `Authorization: Basic ${Buffer.from(text).toString('base64')}`;
    assert.equal(await get('/user', basic('ada:pass:word')), '[ada]');
    assert.equal(await get('/user', basic('nocolon')), '[]');
    assert.equal(await get('/user', 'Authorization: Bearer x'), '[]');
  });

  test('a name may stand in braces', async () => {
    assert.equal(await get('/braces?a=1&b=2', 'Host: h'), 'hname 12');
  });
});

describe('the connection', () => {
  test('has its two ends, its number and the number of its requests', async () => {
    const [address, port, serverAddress, serverPort, number, requests, pid] = (await get('/connection')).split('|');
    assert.deepEqual(
      [address, serverAddress, serverPort, requests, pid],
      ['127.0.0.1', '127.0.0.1', '8080', '1', `${process.pid}`],
    );
    assert.match(`${port} ${number}`, /^\d+ \d+$/);
  });

  test('$binary_remote_addr is the four bytes of the address', async () => {
    assert.equal(await get('/binary'), '\x7f\0\0\x01');
  });
});

describe('the answer', () => {
  test('can be logged with what was sent of it', async () => {
    await get('/sent');
    const head = (await ask(gateway.port(), 'GET /sent')).whole.indexOf('12345');
    assert.match(
      gateway.lines('logs/sent.log').at(-1) ?? '',
      new RegExp(`^200 ${head + 5} 5 OK text/plain own close - - 5 - \\d+$`),
    );
    const bytes = 'GET /sent HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    await exchangeBytes(gateway.port(), Buffer.from(bytes));
    assert.match(gateway.lines('logs/sent.log').at(-1) ?? '', / keep-alive timeout=20 - 5 - 31$/);
    await get('/moved', 'Host: x');
    assert.match(gateway.lines('logs/sent.log').at(-1) ?? '', /^301 .* text\/html - close - - \d+ http:\/\/x:8080\/x /);
  });

  test('takes a time', async () => {
    await get('/times');
    assert.match(gateway.lines('logs/times.log').at(-1) ?? '', /^\d+\.\d{3} \d+\.\d{3} \d{10}\.\d{3} \. 1$/);
  });
});

describe('other variables', () => {
  test('$request_id is 32 hexadecimal digits, one for each request', async () => {
    const [first, second] = (await get('/id')).split(' ');
    assert.match(first ?? '', /^[0-9a-f]{32}$/);
    assert.equal(first, second);
    assert.notEqual((await get('/id')).split(' ')[0], first);
  });

  test('the time is told in two ways, and in seconds', async () => {
    assert.match(
      await get('/time'),
      /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\|\d{10}\.\d{3}$/,
    );
  });

  test('the dates of ssi are told though its commands are not carried out', async () => {
    const before = new Date();
    const [gmt = '', local = ''] = (await get('/dates')).split('|');
    assert.match(gmt, /^[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d GMT$/);
    const told = new Date(gmt.replace(/^\w+, /, '').replaceAll('-', ' '));
    assert.ok(told.getTime() >= before.getTime() - 1000 && told.getTime() <= Date.now(), gmt);
    assert.ok(gmt.startsWith(told.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' })));
    assert.match(local, /^[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d \S+$/);
  });

  test('those that have nothing to say are there, and empty', async () => {
    await get('/missing');
    assert.equal(gateway.lines('logs/missing.log').at(-1), '0 - - - - - - - -  -');
  });
});

// access_log and log_format: which lines are written where, and what they say.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask, exchangeBytes } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      log_format plain "$request_method" " $uri";
      log_format json escape=json '{"ua":"$http_user_agent","none":"$http_x_none","uri":"\${uri}"}';
      log_format none escape=none "$http_user_agent|$http_x_none|$args";
      log_format default escape=default "$http_user_agent|$http_x_none|$http_x_empty|$args|$is_args";
      map $arg_log $wanted { default 1; no 0; empty ""; }
      access_log logs/http.log plain;
      server {
        listen 127.0.0.1:8080;
        location / { return 200; }
        location /combined { access_log logs/combined.log; return 200 body; }
        location /both { access_log logs/one.log plain; access_log logs/two.log PLAIN; return 200; }
        location /off { access_log off; return 200; location /off/on { access_log logs/on.log plain; return 200; } }
        location /json { access_log logs/json.log json; return 200; }
        location /none { access_log logs/none.log none; return 200; }
        location /default { access_log logs/default.log default; return 200; }
        location /if { access_log logs/if.log plain if=$wanted; return 200; }
        location /buffered { access_log logs/buffered.log plain buffer=1k; return 200; }
        location /flushed { access_log logs/flushed.log plain buffer=32k flush=20ms; return 200; }
        location /named/ { access_log logs/$host-$arg_n.log plain; return 200; }
        location /named/kept { open_log_file_cache max=2 inactive=10s min_uses=1; access_log logs/kept-$arg_n.log plain; return 200; }
        location /named/cached { open_log_file_cache max=2 inactive=10s; access_log logs/$arg_n.log plain; return 200; }
        location /named/rootless { root nowhere; access_log logs/rootless-$arg_n.log plain; return 200; }
      }
      server { listen 127.0.0.1:8081; access_log off; return 200; }
    `,
  });
});

after(() => gateway.stop());

const get = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);
const last = (path: string): string | undefined => gateway.lines(path).at(-1);

describe('which logs a request is written to', () => {
  test('are those of its location, else of the levels above', async () => {
    await get('/x');
    assert.equal(last('logs/http.log'), 'GET /x');
    await get('/both');
    assert.deepEqual([last('logs/one.log'), last('logs/two.log')], ['GET /both', 'GET /both']);
    assert.equal(last('logs/http.log'), 'GET /x');
  });

  test('off takes away what the levels above say', async () => {
    const before = gateway.lines('logs/http.log').length;
    await get('/off');
    assert.equal(gateway.lines('logs/http.log').length, before);
    await get('/off/on');
    assert.equal(last('logs/on.log'), 'GET /off/on');
  });

  test('if= leaves out those for which it is empty or 0', async () => {
    for (const wish of ['yes', 'no', 'empty']) await get(`/if?log=${wish}`);
    assert.equal(gateway.lines('logs/if.log').length, 1);
  });
});

describe('what a line says', () => {
  test('combined is there without being defined', async () => {
    await get('/combined?a=b', 'User-Agent: "quoted"', 'Authorization: Basic dXNlcjpzZWNyZXQ=');
    const time = '\\[\\d\\d/[A-Z][a-z]{2}/\\d{4}:\\d\\d:\\d\\d:\\d\\d [+-]\\d{4}\\]';
    assert.match(
      last('logs/combined.log') ?? '',
      new RegExp(`^127\\.0\\.0\\.1 - user ${time} "GET /combined\\?a=b HTTP/1\\.1" 200 4 "-" "\\\\x22quoted\\\\x22"$`),
    );
  });

  test('by default quotes, control characters and bytes from 0x7F on are escaped, and what is missing is a dash', async () => {
    await get('/default?a=%20', 'User-Agent: "\\\tü', 'X-Empty: ');
    assert.equal(last('logs/default.log'), '\\x22\\x5C\\x09\\xFC|-||a=%20|?');
    await get('/default');
    assert.equal(last('logs/default.log'), '-|-|-|-|');
  });

  test('escape=json makes strings of JSON', async () => {
    await get('/json', 'User-Agent: "\\\tü');
    assert.equal(last('logs/json.log'), '{"ua":"\\"\\\\\\tü","none":"","uri":"/json"}');
  });

  test('escape=none leaves values as they are', async () => {
    await get('/none?x', 'User-Agent: "\\');
    assert.equal(last('logs/none.log'), '"\\||x');
  });

  test('a request that could not be read is a line, too', async () => {
    await exchangeBytes(gateway.port(), Buffer.from('garbage\r\n\r\n'));
    assert.equal(last('logs/http.log'), '- -');
    await exchangeBytes(gateway.port(), Buffer.from('GET /../up HTTP/1.1\r\nHost: a\r\n\r\n'));
    assert.equal(last('logs/http.log'), 'GET ', 'a target that leads nowhere is an empty URI');
  });
});

describe('a buffered log', () => {
  test('is written when its buffer is full', async () => {
    await get('/buffered');
    assert.deepEqual(gateway.lines('logs/buffered.log'), []);
    for (let i = 0; i < 100; i++) await get('/buffered');
    assert.ok(gateway.lines('logs/buffered.log').length > 50);
  });

  test('is written after flush=', async () => {
    await get('/flushed');
    while (gateway.lines('logs/flushed.log').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(last('logs/flushed.log'), 'GET /flushed');
  });
});

describe('a log whose name has variables', () => {
  test('is opened when its line comes', async () => {
    await get('/named/x?n=1', 'Host: a.example');
    await get('/named/x?n=2', 'Host: a.example');
    assert.equal(last('logs/a.example-1.log'), 'GET /named/x');
    assert.equal(last('logs/a.example-2.log'), 'GET /named/x');
  });

  test('is kept open by open_log_file_cache, and never more of them than it says', async () => {
    for (const n of ['1', '2', '3', '1']) await get(`/named/kept?n=${n}`);
    assert.equal(gateway.lines('logs/kept-1.log').length, 2);
    assert.equal(gateway.lines('logs/kept-3.log').length, 1);
  });

  test('that cannot be opened does not take the place of one that is kept open', async () => {
    mkdirSync(join(gateway.prefix, 'logs/moved'));
    for (const n of ['a', 'b']) await get(`/named/cached?n=moved/${n}`);
    renameSync(join(gateway.prefix, 'logs/moved'), join(gateway.prefix, 'logs/elsewhere'));
    for (const n of ['c', 'a', 'd', 'b']) await get(`/named/cached?n=moved/${n}`);
    assert.equal(gateway.lines('logs/elsewhere/a.log').length, 2);
    assert.equal(gateway.lines('logs/elsewhere/b.log').length, 2);
  });

  test('cannot be led out of its folder by a variable', async () => {
    await get('/named/x?n=/../../evil', 'Host: a.example');
    assert.ok(!existsSync(join(gateway.prefix, 'evil.log')));
    assert.ok(gateway.lines().some((line) => /access log ".*\.\.\/evil\.log" is refused/.test(line)));
  });

  test('is not written where the document root is not there, as in nginx', async () => {
    await get('/named/rootless?n=1');
    assert.equal(gateway.read('logs/rootless-1.log'), '');
    assert.ok(gateway.lines().some((line) => line.includes('existence failed (2: No such file or directory)')));
  });

  test('that cannot be opened is told in the error log', async () => {
    await get('/named/x?n=1', 'Host: a.example');
    await get('/named/x?n=no/folder', 'Host: a.example');
    assert.ok(gateway.lines().some((line) => /\[crit\].*open\(\) ".*no\/folder\.log" failed \(2: /.test(line)));
  });
});

test('what nobody says is logged to logs/access.log as combined', async () => {
  const other = await gatewayFromConfig({ http: 'server { listen 127.0.0.1:8080; return 204; }' });
  try {
    await ask(other.port(), 'GET /y');
    assert.match(other.lines('logs/access.log')[0] ?? '', / "GET \/y HTTP\/1\.1" 204 0 "-" "-"$/);
  } finally {
    other.stop();
  }
});

// rewrite, if, set and break: how URIs, arguments, variables and settings change on the way to an answer.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
        access_log off;
        default_type text/plain;
        map $arg_m $mapped { a first; default other; }
        server {
          listen 127.0.0.1:8080;
          set $host_of_all "server:$uri";
          rewrite ^/server/(.*)$ /echo/$1;
          location /echo { return 200 "$uri $args"; }
          location /last { rewrite ^/last/(.*)$ /echo/$1 last; return 200 never; }
          location /plain { rewrite ^/plain(.*)$ /two$1; rewrite ^/two(.*)$ /echo$1; }
          location /stay { rewrite ^/stay/(.*)$ /echo/$1 break; return 200 "never"; }
          location /args { rewrite ^/args/([^/]*) /echo?id=$1 last; }
          location /drop { rewrite ^/drop/([^/]*) /echo?id=$1? last; }
          location /bare { rewrite ^ /echo? last; }
          location /twice { rewrite ^ /echo?a?b=c last; }
          location /away { rewrite ^/away/(.*)$ http://example.org/$1; }
          location /moved { rewrite ^/moved/(.*)$ /x/$1?y=z permanent; }
          location /found { rewrite ^/found/(.*)$ /x/$1? redirect; }
          location /loop { rewrite ^ /loop/x last; }
          location /nothing { rewrite ^/nothing$ $1 last; }
          location /named { rewrite ^/named/(?<part>.*)$ /named-end last; }
          location = /named-end { return 200 "$part"; }
          location /inside { internal; return 200 inside; }
          location /to-inside { rewrite ^ /inside last; }
          location /set {
            set $a 1; set $b "$a-2"; set $a 3;
            return 200 "$a $b $host_of_all";
          }
          location /set-args { set $args "n=1"; return 200 "$args $arg_n $is_args"; }
          location /set-map { if ($arg_own) { set $mapped own; } return 200 "$mapped"; }
          location /set-later { return 200 "[$later]"; }
          location /set-silent { uninitialized_variable_warn off; return 200 "[$later]"; }
          location /set-here { set $later x; return 200 "[$later]"; }
          location ~ ^/set-capture/(.*)$ { set $c "$1"; return 200 "$c $1"; }
          location /limited { set $limit_rate 5k; return 200 "$limit_rate"; }
          location /limited-wrong { set $limit_rate fast; return 200 "$limit_rate"; }
          location /break { set $x before; break; set $x after; return 200 never; }
        }
    `,
    files: { 'html/break': 'a file', 'html/echo/file': 'stayed' },
  });
});

after(() => gateway.stop());

const at = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);
const textOf = async (path: string) => (await at(path)).text;
const locationOf = async (path: string) => {
  const { status, headers } = await at(path, 'Host: a.example');
  return [status, headers.get('location')];
};

describe('rewrite', () => {
  test('in a server changes the URI before a location is looked for', async () => {
    assert.equal(await textOf('/server/a/b'), '/echo/a/b ');
  });

  test('with last ends the lines and looks for a location again', async () => {
    assert.equal(await textOf('/last/a?x=y'), '/echo/a x=y');
  });

  test('without a flag goes on with the next line, and looks for a location in the end', async () => {
    assert.equal(await textOf('/plain/a'), '/echo/a ');
  });

  test('with break stays in its location', async () => {
    assert.equal(await textOf('/stay/file'), 'stayed');
  });

  test('puts the arguments of the request behind its own, unless it ends in ?', async () => {
    assert.equal(await textOf('/args/7?x=y'), '/echo id=7&x=y');
    assert.equal(await textOf('/args/7'), '/echo id=7');
    assert.equal(await textOf('/drop/7?x=y'), '/echo id=7');
    assert.equal(await textOf('/bare?x=y'), '/echo ');
    assert.equal(await textOf('/twice'), '/echo a?b=c');
  });

  test('escapes captures in arguments where the client has escaped something', async () => {
    assert.equal(await textOf('/args/a%26b%3D%20c'), '/echo id=a%26b=%20c');
    assert.equal(await textOf('/args/a&b'), '/echo id=a&b');
  });

  test('to a URL is a redirect', async () => {
    assert.deepEqual(await locationOf('/away/a?x=y'), [302, 'http://example.org/a?x=y']);
  });

  test('with permanent and redirect sends the client elsewhere', async () => {
    assert.deepEqual(await locationOf('/moved/a?x=y'), [301, 'http://a.example:8080/x/a?y=z&x=y']);
    assert.deepEqual(await locationOf('/found/a?x=y'), [302, 'http://a.example:8080/x/a']);
  });

  test('keeps in a redirect only those escapes that are needed', async () => {
    assert.deepEqual(await locationOf('/found/a%20b%2Cc%3Bd'), [302, 'http://a.example:8080/x/a%20b,c;d']);
  });

  test('that changes the URI again and again ends with 500 after ten times', async () => {
    assert.equal((await at('/loop')).status, 500);
    assert.match(gateway.read('logs/error.log'), /rewrite or internal redirection cycle while processing "\/loop\/x"/);
  });

  test('to nothing is a 500', async () => {
    assert.equal((await at('/nothing')).status, 500);
    assert.match(gateway.read('logs/error.log'), /the rewritten URI has a zero length/);
  });

  test('makes the request internal, and its named captures variables', async () => {
    assert.equal(await textOf('/to-inside'), 'inside');
    assert.equal(await textOf('/named/some/part'), 'some/part');
  });
});

describe('set', () => {
  test('gives a variable a value, in a server and in a location, of other variables', async () => {
    assert.equal(await textOf('/set/x'), '3 1-2 server:/set/x');
  });

  test('changes the arguments', async () => {
    assert.equal(await textOf('/set-args?x=y'), 'n=1 1 ?');
  });

  test('goes before a map of the same name', async () => {
    assert.equal(await textOf('/set-map?m=a'), 'first');
    assert.equal(await textOf('/set-map?m=a&own=1'), 'own');
  });

  test('leaves a variable empty where it was not run, and a warning where that is not off', async () => {
    const warnings = () =>
      gateway.lines().filter((line) => line.includes('using uninitialized "later" variable')).length;
    assert.equal(await textOf('/set-silent'), '[]');
    assert.equal(warnings(), 0);
    assert.equal(await textOf('/set-later'), '[]');
    assert.equal(warnings(), 1);
    assert.equal(await textOf('/set-here'), '[x]');
  });

  test('escapes captures as nginx does', async () => {
    assert.equal(await textOf('/set-capture/a%20b'), 'a%20b a b');
    assert.equal(await textOf('/set-capture/ab'), 'ab ab');
  });

  test('sets the rate of the answer', async () => {
    assert.equal(await textOf('/limited'), '5120');
    assert.equal(await textOf('/limited-wrong'), '0');
    assert.match(gateway.read('logs/error.log'), /invalid \$limit_rate "fast"/);
  });
});

test('break ends the lines', async () => {
  assert.equal(await textOf('/break'), 'a file');
});

test('rewrite_log tells each line that is run, with level notice', async (t) => {
  const told = await gatewayFromConfig({
    main: 'error_log logs/error.log notice;',
    http: `server { listen 127.0.0.1:8080; rewrite_log on;
      location /a { rewrite ^/never /x; rewrite ^/a(.*) /b$1?c=d break; if ($uri !~ nowhere) { } return 200 x; }
      location /m { rewrite ^/m /away permanent; } }`,
  });
  t.after(() => told.stop());
  await ask(told.port(), 'GET /a/1?e=f');
  await ask(told.port(), 'GET /m');
  const lines = told.lines().map((line) => /\[notice\] .*?: (?:\*\d+ )?(.*?), client/.exec(line)?.[1]);
  assert.deepEqual(
    lines.filter((line) => line !== undefined),
    [
      '"^/never" does not match "/a/1"',
      '"^/a(.*)" matches "/a/1"',
      'rewritten data: "/b/1", args: "c=d&e=f"',
      '"^/m" matches "/m"',
      'rewritten redirect: "/away"',
    ],
  );
});

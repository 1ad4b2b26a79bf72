// if: which conditions hold, and what its settings do to those of the location.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

/** What a condition about `$arg_v` says of a value; the value stands in `$v` beforehand. */
const CONDITIONS: readonly [condition: string, value: string, holds: boolean][] = [
  ['($v)', 'x', true],
  ['($v)', '00', true],
  ['($v)', '0', false],
  ['($v)', '', false],
  ['( $v )', 'x', true],
  ['($v = a)', 'a', true],
  ['($v = a)', 'A', false],
  ['( $v = "a b" )', 'a', false],
  ['($v != a)', 'a', false],
  ['($v != a)', 'b', true],
  ['($v = $arg_w)', 'w', true],
  ['($v ~ ^a)', 'ab', true],
  ['($v ~ ^a)', 'AB', false],
  ['($v ~* ^a)', 'AB', true],
  ['($v !~ ^a)', 'ab', false],
  ['($v !~ ^a)', 'ba', true],
  ['($v !~* ^a)', 'AB', false],
  ['($v !~* ^a)', 'ba', true],
  ['(-f $document_root/$v)', 'file', true],
  ['(-f $document_root/$v)', 'folder', false],
  ['(-f $document_root/$v)', 'none', false],
  ['(!-f $document_root/$v)', 'none', true],
  ['(!-f $document_root/$v)', 'file', false],
  ['(-d $document_root/$v)', 'folder', true],
  ['(-d $document_root/$v)', 'file', false],
  ['(!-d $document_root/$v)', 'file', true],
  ['(-e $document_root/$v)', 'folder', true],
  ['(-e $document_root/$v)', 'none', false],
  ['(!-e $document_root/$v)', 'none', true],
  ['(-x $document_root/$v)', 'program', true],
  ['(-x $document_root/$v)', 'file', false],
  ['(!-x $document_root/$v)', 'file', true],
];

test('a condition holds or not, in a location and in a server', async (t) => {
  const conditions = [...new Set(CONDITIONS.map(([condition]) => condition))];
  const lines = conditions.map(
    (condition, index) => `location = /${index} { if ${condition} { return 200 yes; } return 200 no; }`,
  );
  const servers = conditions.map(
    (condition, index) =>
      `server { listen 127.0.0.1:${8100 + index}; root html; set $v $arg_v; if ${condition} { return 200 yes; } return 200 no; }`,
  );
  const gateway = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8080; root html; set $v $arg_v; ${lines.join('\n')} } ${servers.join('\n')}`,
    files: { 'html/file': 'x', 'html/program': 'x' },
  });
  t.after(() => gateway.stop());
  mkdirSync(join(gateway.prefix, 'html/folder'));
  chmodSync(join(gateway.prefix, 'html/program'), 0o755);
  for (const [condition, value, holds] of CONDITIONS) {
    const index = conditions.indexOf(condition);
    const path = `?v=${value}&w=w`;
    const inLocation = await ask(gateway.port('127.0.0.1:8080'), `GET /${index}${path}`);
    assert.equal(inLocation.text, holds ? 'yes' : 'no', `${condition} of "${value}" in a location`);
    const inServer = await ask(gateway.port(`127.0.0.1:${8100 + index}`), `GET /${path}`);
    assert.equal(inServer.text, holds ? 'yes' : 'no', `${condition} of "${value}" in a server`);
  }
});

let gateway: RunningGateway;

describe('the settings of an if', () => {
  before(async () => {
    gateway = await gatewayFromConfig({
      http: `
        server {
          listen 127.0.0.1:8080;
          default_type text/plain;
          location /header { add_header X-A location; if ($arg_on) { add_header X-A if; } return 204; }
          location /inherited { add_header X-A location; if ($arg_on) { set $x 1; } return 204; }
          location /two { if ($arg_a) { add_header X-A first; } if ($arg_b) { add_header X-A second; } return 204; }
          location /goes-on { set $x 1; if ($arg_on) { set $x 2; } return 200 $x; }
          location /stops { set $x 1; if ($arg_on) { break; } return 200 $x; }
          location /root { if ($arg_on) { root other; } }
          location /tries { try_files /none =404; if ($arg_on) { set $x 1; } }
          location /captures { if ($arg_on ~ ^(.)(.)) { return 200 "$2$1"; } return 200 "[$1]"; }
          location /again { if ($arg_on) { rewrite ^ /goes-on last; } return 200 here; }
        }`,
      files: { 'html/root': 'html', 'html/tries': 'the file', 'html/stops': 'a file' },
    });
    mkdirSync(join(gateway.prefix, 'other'));
    writeFileSync(join(gateway.prefix, 'other/root'), 'other');
  });

  after(() => gateway.stop());

  const at = (path: string) => ask(gateway.port(), `GET ${path}`);
  const textOf = async (path: string) => (await at(path)).text;
  const fieldOf = async (path: string) => (await at(path)).headers.get('x-a');

  test('replace those of its location where they are set, and else are these', async () => {
    assert.deepEqual([await fieldOf('/header'), await fieldOf('/header?on=1')], ['location', 'if']);
    assert.equal(await fieldOf('/inherited?on=1'), 'location');
    assert.deepEqual([await textOf('/root'), await textOf('/root?on=1')], ['html', 'other']);
  });

  test('of the last of several that hold are in force', async () => {
    assert.equal(await fieldOf('/two?a=1'), 'first');
    assert.equal(await fieldOf('/two?a=1&b=1'), 'second');
  });

  test('do not hinder the lines behind it, unless one of its own ends them', async () => {
    assert.deepEqual([await textOf('/goes-on'), await textOf('/goes-on?on=1')], ['1', '2']);
    assert.deepEqual([await textOf('/stops'), await textOf('/stops?on=1')], ['1', 'a file']);
    assert.deepEqual([await textOf('/again'), await textOf('/again?on=1')], ['here', '2']);
  });

  test('have no try_files, as in nginx', async () => {
    assert.deepEqual([(await at('/tries')).status, await textOf('/tries?on=1')], [404, 'the file']);
  });

  test('come with the captures of its expression', async () => {
    assert.deepEqual([await textOf('/captures?on=ab'), await textOf('/captures')], ['ba', '[]']);
  });
});

test('an if passes on what its location does, or somewhere else', async (t) => {
  const one = await startBackend(t, ({ head }) => answer(`one ${head}`));
  const other = await startBackend(t, ({ head }) => answer(`other ${head}`));
  const proxies = await gatewayFromConfig({
    http: `
      server {
        listen 127.0.0.1:8080;
        location /a/ {
          proxy_pass http://${one.address}/b/;
          proxy_set_header X-From location;
          if ($arg_other) { proxy_pass http://${other.address}; }
          if ($arg_break) { rewrite ^/a/(.*) /changed/$1 break; }
        }
      }`,
  });
  t.after(() => proxies.stop());
  const said = async (path: string) => {
    const { text } = await ask(proxies.port(), `GET ${path}`);
    return [text.slice(0, text.indexOf(' HTTP')), /X-From: (.*)/.exec(text)?.[1]?.trim()];
  };
  assert.deepEqual(await said('/a/c'), ['one GET /b/c', 'location']);
  assert.deepEqual(await said('/a/c?other=1'), ['other GET /a/c?other=1', 'location']);
  assert.deepEqual(
    await said('/a/c?break=1'),
    ['one GET /changed/c?break=1', 'location'],
    'the URI is passed on as it is',
  );
});

function answer(text: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

// server_name and listen: which server a request belongs to.

import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  const server = (lines: string, text: string) =>
    `server { listen 127.0.0.1:8080; ${lines} return 200 "${text}, called $server_name, for $host"; }`;
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      ${server('server_name first.example .dotted.example; error_page 400 =418 @bad; location @bad { return 418 bad; }', 'first')}
      ${server('server_name example.org *.example.org;', 'exact and head')}
      ${server('server_name *.deep.example.org;', 'longer head')}
      ${server('server_name mail.*;', 'tail')}
      ${server('server_name "~^(?<user>[a-z]+)\\.users\\.test$";', 'pattern $user $1')}
      ${server('server_name "~\\.test$";', 'later pattern')}
      ${server('server_name $hostname-is-none; server_name $hostname;', 'machine')}
      server { listen 127.0.0.1:8080; server_name ""; return 200 "nobody, for [$host]"; }
      server { listen 127.0.0.1:8085; server_name al*ne two..dots; return 200 "alone"; }
      server { listen 127.0.0.1:8081; server_name a; return 200 a; }
      server { listen 127.0.0.1:8081 default_server; server_name b; return 200 "b by default"; }
      server { listen 127.0.0.1:8082; listen 127.0.0.1:8083; return 200 "$server_port"; }
      server { listen 127.0.0.1:8090-8092; return 200 "$server_port"; }
      server { listen localhost:8084; return 200 "by name"; }
    `,
  });
});

after(() => gateway.stop());

const asked = async (host: string): Promise<string> => (await ask(gateway.port(), 'GET /', `Host: ${host}`)).text;

test('an exact name goes before masks, in any case, without its port and its last dot', async () => {
  assert.equal(await asked('example.org'), 'exact and head, called example.org, for example.org');
  assert.equal(await asked('EXAMPLE.org:99'), 'exact and head, called example.org, for example.org');
  assert.equal(await asked('example.org.'), 'exact and head, called example.org, for example.org');
});

test('of masks at the beginning the longest one counts', async () => {
  assert.match(await asked('a.example.org'), /^exact and head,/);
  assert.match(await asked('a.deep.example.org'), /^longer head, called \*\.deep\.example\.org,/);
});

test('a leading dot stands for the name and all below it', async () => {
  assert.match(await asked('dotted.example'), /^first,/);
  assert.match(await asked('a.b.dotted.example'), /^first,/);
});

test('a mask at the end goes before expressions', async () => {
  assert.match(await asked('mail.users.test'), /^tail, called mail\.\*,/);
});

test('of expressions the first one counts, and leaves its captures behind', async () => {
  assert.match(await asked('ada.users.test'), /^pattern ada ada, called ~\^/);
  assert.match(await asked('x.y.test'), /^later pattern,/);
});

test('$hostname is the name of this machine', async () => {
  assert.match(await asked(hostname()), /^machine,/);
});

test('a request without a host goes to the server whose name is empty', async () => {
  const bytes = await exchangeBytes(gateway.port(), Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  assert.equal(answerOf(bytes).text, 'nobody, for []');
});

test('an unknown name goes to the default server: the first one, or the one that says so', async () => {
  assert.match(await asked('unknown'), /^first, called first.example, for unknown$/);
  const other = await ask(gateway.port('127.0.0.1:8081'), 'GET /', 'Host: unknown');
  assert.equal(other.text, 'b by default');
});

test('a server may listen on several addresses, and on a range of ports', async () => {
  assert.equal((await ask(gateway.port('127.0.0.1:8083'), 'GET /')).text, '8083');
  assert.equal((await ask(gateway.port('127.0.0.1:8091'), 'GET /')).text, '8091');
});

test('names that cannot be do no harm where nobody looks at them, as the server has the address for itself', async () => {
  assert.equal((await ask(gateway.port('127.0.0.1:8085'), 'GET /', 'Host: any')).text, 'alone');
});

test('a head that names no host, as it cannot be read, is with the default server', async () => {
  const bytes = await exchangeBytes(gateway.port(), Buffer.from('GET /a b HTTP/1.1\r\nHost: mail.x\r\n\r\n'));
  assert.equal(answerOf(bytes).status, 418);
});

test('an address may be given by name: it is looked up when the configuration is loaded', async () => {
  assert.equal((await ask(gateway.port('127.0.0.1:8084'), 'GET /')).text, 'by name');
});

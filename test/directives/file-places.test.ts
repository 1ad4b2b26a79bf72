// root, alias, index, types, try_files: which file of the disk a URI is.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      default_type text/x-default;
      types { text/html html htm; text/css css; }
      server {
        listen 127.0.0.1:8080;
        location / { }
        location /sub/ { root other/; }
        location /alias/ { alias other/; location /alias/nested/ { } location ~ \\.nested$ { } }
        location /noslash { alias other; }
        location /half { alias other/; }
        location = /one { alias other/file.txt; }
        location ~ ^/regex/(\\w+)$ { alias other/$1.txt; }
        location /made/ { root $arg_where; }
        location /indexed/ { index first.htm index.html; }
        location /indexed-elsewhere/ { index nothing.html /sub/file.txt; }
        location /typed/ { types { text/x-own txt; } types { text/x-more more; } location /typed/none/ { types { } } }
        location /paths/ { alias other/; add_header X-Root $document_root; add_header X-File $request_filename; add_header X-Real $realpath_root; }
        location /tries/ { root other; try_files $uri $uri/ /sub/$arg_then =410; }
        location /tries-error/ { try_files $uri =418; }
        location /tries-named/ { try_files $uri @named; }
        location @named { return 200 "named $uri"; }
        location /tries-uri/ { try_files $uri /alias/file.txt?x=y; }
        location /tries-alias/ { alias other/; try_files $uri /tries-alias/$arg_then /file.txt =404; }
        location ~ ^/tries-captures/(\\w+) { alias other/$1; try_files /$arg_first /file.txt =404; }
        location /tries-first/ { try_files /html.html =404; }
      }
      server {
        listen 127.0.0.1:8081;
        root other;
        index file.txt;
        try_files $uri /file.txt;
      }
    `,
    files: {
      'html/html.html': '<p>html',
      'html/a.css': 'css',
      'html/noext': 'none',
      'html/indexed/index.html': 'the index',
      'html/typed/a.txt': 'a',
      'html/typed/b.more': 'b',
      'html/typed/c.html': 'c',
      'html/typed/none/d.txt': 'd',
      'other/file.txt': 'other file',
      'other/nested/x.txt': 'nested x',
      'other/y.nested': 'nested y',
      'other/sub/file.txt': 'sub file',
      'other/tries/there.txt': 'there',
      'other/tries/folder/index.html': 'folder index',
      'elsewhere/made/m.txt': 'made',
    },
  });
});

after(() => gateway.stop());

const at = (path: string) => ask(gateway.port(), `GET ${path}`);
const text = async (path: string): Promise<string> => (await at(path)).text;

describe('root', () => {
  test('is put before the whole URI, relative to the prefix, with or without a slash at its end', async () => {
    assert.equal(await text('/html.html'), '<p>html');
    assert.equal(await text('/sub/file.txt'), 'sub file');
  });

  test('may be made of variables', async () => {
    assert.equal(await text('/made/m.txt?where=elsewhere'), 'made');
    assert.equal(await text(`/made/m.txt?where=${gateway.prefix}/elsewhere`), 'made');
  });

  test('cannot be left by a variable with ..', async () => {
    assert.equal((await at('/made/m.txt?where=html/../elsewhere')).status, 403);
  });
});

describe('alias', () => {
  test('stands for what the location has matched', async () => {
    assert.equal(await text('/alias/file.txt'), 'other file');
    assert.equal(await text('/noslash/file.txt'), 'other file');
    assert.equal(await text('/one'), 'other file');
  });

  test('holds in the locations inside, for the same part of the URI', async () => {
    assert.equal(await text('/alias/nested/x.txt'), 'nested x');
    assert.equal(await text('/alias/y.nested'), 'nested y');
  });

  test('is the whole path in a location with an expression', async () => {
    assert.equal(await text('/regex/file'), 'other file');
  });

  test('cannot be left by what follows it without a slash', async () => {
    assert.equal((await at('/half../html/html.html')).status, 403);
  });

  test('is told by the variables of files', async () => {
    const { headers } = await at('/paths/file.txt');
    assert.equal(headers.get('x-root'), `${gateway.prefix}/other/`);
    assert.equal(headers.get('x-file'), `${gateway.prefix}/other/file.txt`);
    assert.equal(headers.get('x-real'), `${gateway.prefix}/other`);
  });
});

describe('index', () => {
  test('is the first that is there', async () => {
    assert.equal(await text('/indexed/'), 'the index');
  });

  test('with a slash is a URI to go on with', async () => {
    assert.equal((await at('/indexed-elsewhere/')).status, 404);
    assert.equal((await ask(gateway.port('127.0.0.1:8081'), 'GET /')).text, 'other file');
  });
});

describe('types', () => {
  const type = async (path: string) => (await at(path)).headers.get('content-type');

  test('are by the extension, else default_type', async () => {
    assert.equal(await type('/html.html'), 'text/html');
    assert.equal(await type('/a.css'), 'text/css');
    assert.equal(await type('/noext'), 'text/x-default');
  });

  test('of a level replace those above, several of one level together', async () => {
    assert.equal(await type('/typed/a.txt'), 'text/x-own');
    assert.equal(await type('/typed/b.more'), 'text/x-more');
    assert.equal(await type('/typed/c.html'), 'text/x-default');
  });

  test('may be none at all', async () => {
    assert.equal(await type('/typed/none/d.txt'), 'text/x-default');
  });
});

describe('try_files', () => {
  test('answers with the first that is there, files and folders apart', async () => {
    assert.equal(await text('/tries/there.txt'), 'there');
    assert.equal(await text('/tries/folder/'), 'folder index');
    assert.equal((await at('/tries/folder')).status, 301);
    assert.equal(await text('/tries/nothing?then=file.txt'), 'sub file');
  });

  test('ends with a status', async () => {
    assert.equal((await at('/tries/nothing')).status, 410);
    assert.equal((await at('/tries-error/x')).status, 418);
  });

  test('ends in a location by its name, with the URI as it is', async () => {
    assert.equal(await text('/tries-named/x'), 'named /tries-named/x');
  });

  test('ends with a URI, of which the last argument is not looked for', async () => {
    assert.equal(await text('/tries-uri/x'), 'other file');
  });

  test('looks under an alias', async () => {
    assert.equal(await text('/tries-alias/sub/file.txt'), 'sub file');
    assert.equal(await text('/tries-alias/nothing?then=y.nested'), 'nested y');
    assert.equal(await text('/tries-alias/nothing?then=nothing'), 'other file');
  });

  test('looks behind an alias that is made of captures, and serves what it has found there', async () => {
    assert.equal(await text('/tries-captures/tries?first=there.txt'), 'there');
    assert.equal(await text('/tries-captures/sub?first=none'), 'sub file');
    assert.equal((await at('/tries-captures/nested?first=none')).status, 404);
  });

  test('takes a name without variables as it is', async () => {
    assert.equal(await text('/tries-first/x'), '<p>html');
  });

  test('in a server holds where no location is', async () => {
    assert.equal((await ask(gateway.port('127.0.0.1:8081'), 'GET /nothing')).text, 'other file');
  });
});

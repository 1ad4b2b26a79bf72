// Redirects that we make ourselves: where they lead to.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { LocationSettings } from '../../src/exchange/settings.ts';
import { compileLocations } from '../../src/route/locations.ts';
import { redirectTo } from '../../src/route/redirects.ts';
import { locationSettings, serverSettings } from '../support/location-settings.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';
import { runServer } from '../support/running-server.ts';

/** A server that redirects everything to `target`. */
function redirecting(t: TestContext, target: string, settings: Partial<LocationSettings> = {}): Promise<number> {
  const location = locationSettings({ ...settings, content: [(exchange) => redirectTo(exchange, 302, target)] });
  return runServer(t, serverSettings(location, { name: 'named.example' }));
}

async function locationFrom(port: number, ...headerLines: string[]): Promise<string | undefined> {
  return (await ask(port, 'GET /', ...headerLines)).headers.get('location');
}

test('a path leads to the host that was asked, and to our port', async (t) => {
  const port = await redirecting(t, '/x');
  assert.equal(await locationFrom(port, 'Host: a.example'), `http://a.example:${port}/x`);
});

test('with port_in_redirect off the port is left out', async (t) => {
  const port = await redirecting(t, '/x', { portInRedirect: false });
  assert.equal(await locationFrom(port, 'Host: a.example'), 'http://a.example/x');
});

test('with server_name_in_redirect it leads to the name of the server', async (t) => {
  const port = await redirecting(t, '/x', { serverNameInRedirect: true });
  assert.equal(await locationFrom(port, 'Host: a.example'), `http://named.example:${port}/x`);
});

test('with absolute_redirect off it stays a path', async (t) => {
  const port = await redirecting(t, '/x', { absoluteRedirect: false });
  assert.equal(await locationFrom(port), '/x');
});

test('where the request names no host it leads to our address', async (t) => {
  const port = await redirecting(t, '/x');
  const answer = answerOf(await exchangeBytes(port, Buffer.from('GET / HTTP/1.0\r\n\r\n')));
  assert.equal(answer.headers.get('location'), `http://127.0.0.1:${port}/x`);
});

test('a URL stays as it is', async (t) => {
  const port = await redirecting(t, 'https://b.example/x');
  assert.equal(await locationFrom(port), 'https://b.example/x');
});

/** `location /name/ { proxy_pass … }` beside others; whoever is found answers with its own name. */
function autoRedirecting(t: TestContext, ...others: { name: string; exact?: boolean }[]): Promise<number> {
  const all = [
    { name: '/a b/', exact: false, autoRedirect: true },
    ...others.map((other) => ({ autoRedirect: false, ...other })),
  ];
  const locations = all.map(({ name, exact, autoRedirect }) => ({
    match: exact ? { kind: 'exact' as const, text: name } : { kind: 'prefix' as const, text: name, stopsRegex: false },
    settings: locationSettings({
      name,
      autoRedirect,
      headerFilters: [(exchange) => exchange.answer.set('X-Location', name)],
      content: [() => 418],
      access: [() => (autoRedirect ? 403 : -1)],
    }),
    nested: [],
  }));
  return runServer(t, serverSettings(locationSettings(), { locations: compileLocations(locations) }));
}

test('the name of a location with a slash, without it, is redirected before anything else is done', async (t) => {
  const port = await autoRedirecting(t, { name: '/' });
  const answer = await ask(port, 'GET /a%20b?c=d');
  assert.equal(answer.status, 301);
  assert.equal(answer.headers.get('location'), `http://localhost:${port}/a%20b/?c=d`);
  assert.equal(answer.headers.get('x-location'), '/a b/');
  assert.equal((await ask(port, 'GET /a%20b/')).status, 403);
  assert.equal((await ask(port, 'GET /a%20bc')).headers.get('x-location'), '/');
});

test('it is not redirected where there is a location of just that name', async (t) => {
  const prefix = await autoRedirecting(t, { name: '/a b' });
  assert.equal((await ask(prefix, 'GET /a%20b')).headers.get('x-location'), '/a b');
  const exact = await autoRedirecting(t, { name: '/a b', exact: true }, { name: '/' });
  assert.equal((await ask(exact, 'GET /a%20b')).headers.get('x-location'), '/a b');
});

test('of an exact location and a prefix of one name the exact one is redirected to', async (t) => {
  const port = await autoRedirecting(t, { name: '/a b/', exact: true });
  const answer = await ask(port, 'GET /a%20b');
  assert.equal(answer.status, 301);
});

// HTTP clients in wide use through the gateway (Node's own fetch and http, undici): connections that are kept, bodies that stream.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import * as undici from 'undici';
import { startHttpPeer } from './http-peer.ts';
import { type StartedGateway, startGateway } from './start-gateway.ts';

const MEGABYTE = 1024 * 1024;

/** What the types of Node leave out: the body of a request that streams. */
type StreamingRequest = RequestInit & { readonly duplex: 'half' };

/** Requests whose handler has begun, for the test to go on with them. */
class Requests {
  readonly #waiting: ((pair: Pair) => void)[] = [];
  readonly #begun: Pair[] = [];

  readonly handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#begun.push({ incoming, response });
    else waiting({ incoming, response });
  };

  next(): Promise<Pair> {
    const begun = this.#begun.shift();
    return begun === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(begun);
  }
}

interface Pair {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
}

/** Passes everything on at once, in both directions. */
const UNBUFFERED = 'proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;';

function gatewayTo(t: TestContext, port: number, lines = ''): Promise<StartedGateway> {
  return startGateway(t, { server: `location / { proxy_pass http://127.0.0.1:${port}; ${lines} }` });
}

test('fetch: connections are kept on either side', async (t) => {
  const clientPorts = new Set<string>();
  const peer = await startHttpPeer(t, (request, response) => {
    clientPorts.add(String(request.headers['x-port']));
    response.end(`${request.method} ${request.url}`);
  });
  const gateway = await gatewayTo(t, peer.port, 'proxy_set_header X-Port $remote_port;');
  const turns = 40;
  for (let turn = 0; turn < turns; turn++) {
    const answer = await fetch(gateway.url('http', `/page?${turn}`));
    assert.equal(await answer.text(), `GET /page?${turn}`);
  }
  // Whether one connection is free for the next request already is a matter of ticks inside of fetch; never of a new one each time.
  assert.ok(clientPorts.size < turns / 4, `${clientPorts.size} connections of the client`);
  assert.equal(peer.connections, 1);
});

test('undici: requests in turn go over the one connection that it may have', async (t) => {
  const clientPorts = new Set<string>();
  const peer = await startHttpPeer(t, (request, response) => {
    clientPorts.add(String(request.headers['x-port']));
    response.end();
  });
  const gateway = await gatewayTo(t, peer.port, 'proxy_set_header X-Port $remote_port;');
  const dispatcher = new undici.Agent({ connections: 1, connect: { ca: gateway.ca } });
  t.after(() => dispatcher.destroy());
  for (let turn = 0; turn < 20; turn++) {
    const { statusCode, body } = await undici.request(gateway.url('https', '/'), { dispatcher });
    assert.deepEqual([statusCode, await body.text()], [200, '']);
  }
  assert.equal(clientPorts.size, 1);
  assert.equal(peer.connections, 1);
});

test('fetch: every method, with its body and its status, and headers both ways', async (t) => {
  const peer = await startHttpPeer(t, async (request, response) => {
    const body = await text(request);
    const status = Number(request.headers['x-status']);
    response.writeHead(status, { 'X-Seen': `${request.method} ${request.headers['x-asked']}`, 'X-Many': ['a', 'b'] });
    response.end(status === 204 ? undefined : body);
  });
  const gateway = await gatewayTo(t, peer.port);
  for (const [method, status] of Object.entries({ POST: 201, PUT: 200, PATCH: 422, DELETE: 204, REPORT: 207 })) {
    const headers = { 'x-status': `${status}`, 'x-asked': 'for it' };
    const answer = await fetch(gateway.url('http', '/'), { method, headers, body: `body of ${method}` });
    assert.equal(answer.status, status);
    assert.equal(answer.headers.get('x-seen'), `${method} for it`);
    assert.equal(answer.headers.get('x-many'), 'a, b');
    assert.equal(await answer.text(), status === 204 ? '' : `body of ${method}`);
  }
  const head = await fetch(gateway.url('http', '/'), { method: 'HEAD', headers: { 'x-status': '200' } });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

test('fetch: a request body of unknown length arrives while it is being sent', async (t) => {
  const requests = new Requests();
  const peer = await startHttpPeer(t, requests.handle);
  const gateway = await gatewayTo(t, peer.port, UNBUFFERED);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const body = writable.getWriter();
  const asked: StreamingRequest = { method: 'POST', body: readable, duplex: 'half' };
  const answering = fetch(gateway.url('http', '/'), asked);
  void body.write(Buffer.from('first '));
  const { incoming, response } = await requests.next();
  assert.equal(incoming.headers['transfer-encoding'], 'chunked');
  incoming.setEncoding('latin1');
  assert.deepEqual(await once(incoming, 'data'), ['first ']);
  void body.write(Buffer.from('second'));
  assert.deepEqual(await once(incoming, 'data'), ['second']);
  void body.close();
  await once(incoming.resume(), 'end');
  response.end('thanks');
  assert.equal(await (await answering).text(), 'thanks');
});

test('fetch: an answer of unknown length arrives while it is being made', async (t) => {
  const requests = new Requests();
  const peer = await startHttpPeer(t, requests.handle);
  const gateway = await gatewayTo(t, peer.port, UNBUFFERED);
  const answering = fetch(gateway.url('http', '/'));
  const { response } = await requests.next();
  response.flushHeaders();
  const answer = await answering;
  const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  for (const part of ['first', 'second', 'third']) {
    response.write(part);
    assert.deepEqual(await reader.read(), { done: false, value: part });
  }
  response.end();
  assert.equal((await reader.read()).done, true);
});

test('fetch: large bodies come back byte for byte, buffered and unbuffered', async (t) => {
  // Not while it reads: once the answer begins the rest of a request is not sent any more, as in nginx.
  const peer = await startHttpPeer(t, async (request, response) => void response.end(await buffer(request)));
  const body = randomBytes(8 * MEGABYTE);
  for (const lines of [UNBUFFERED, 'client_max_body_size 0;']) {
    const gateway = await gatewayTo(t, peer.port, lines);
    const answer = await fetch(gateway.url('http', '/'), { method: 'POST', body });
    assert.equal(body.equals(Buffer.from(await answer.arrayBuffer())), true, lines);
  }
});

test('fetch: a client that gives up is gone for the peer as well', async (t) => {
  const requests = new Requests();
  const peer = await startHttpPeer(t, requests.handle);
  const gateway = await gatewayTo(t, peer.port);
  const giveUp = new AbortController();
  const answering = fetch(gateway.url('http', '/'), { signal: giveUp.signal });
  const { response } = await requests.next();
  const closed = once(response, 'close');
  giveUp.abort();
  await assert.rejects(answering, { name: 'AbortError' });
  await closed;
  assert.equal(response.writableFinished, false);
});

test('undici: requests that are pipelined over one TLS connection are answered in order', async (t) => {
  const peer = await startHttpPeer(t, (request, response) => response.end(request.url));
  const gateway = await gatewayTo(t, peer.port);
  const client = new undici.Client(gateway.url('https', ''), { connect: { ca: gateway.ca }, pipelining: 8 });
  t.after(() => client.destroy());
  const answers = Array.from({ length: 40 }, async (_, number) => {
    const { body } = await client.request({ method: 'GET', path: `/${number}` });
    return body.text();
  });
  assert.deepEqual(
    await Promise.all(answers),
    Array.from({ length: 40 }, (_, number) => `/${number}`),
  );
});

test('http: Expect: 100-continue is answered before the body is sent', async (t) => {
  const peer = await startHttpPeer(t, async (request, response) => void response.end(`got ${await text(request)}`));
  const gateway = await gatewayTo(t, peer.port);
  const asked = request(gateway.url('http', '/'), { method: 'PUT', headers: { Expect: '100-continue' } });
  asked.flushHeaders();
  await once(asked, 'continue');
  asked.end('the body');
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  assert.deepEqual([answer.statusCode, await text(answer)], [200, 'got the body']);
});

test('undici: trailers of an answer arrive where they are let through', async (t) => {
  const peer = await startHttpPeer(t, (_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('body');
    response.addTrailers({ 'X-Sum': '42' });
    response.end();
  });
  const gateway = await gatewayTo(t, peer.port, 'proxy_pass_trailers on;');
  const { body, trailers } = await undici.request(gateway.url('http', '/'));
  assert.equal(await body.text(), 'body');
  assert.deepEqual(trailers, { 'x-sum': '42' });
});

test('undici: fetch over TLS trusts the gateway’s certificate and no other', async (t) => {
  const peer = await startHttpPeer(t, (_request, response) => response.end('trusted'));
  const gateway = await gatewayTo(t, peer.port);
  const dispatcher = new undici.Agent({ connect: { ca: gateway.ca } });
  t.after(() => dispatcher.destroy());
  const answer = await undici.fetch(gateway.url('https', '/'), { dispatcher });
  assert.equal(await answer.text(), 'trusted');
  await assert.rejects(fetch(gateway.url('https', '/')), /fetch failed/);
});

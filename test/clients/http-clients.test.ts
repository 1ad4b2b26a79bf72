// HTTP clients in wide use, Node's own fetch and undici, through the gateway: connections that are kept, bodies that stream both ways.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
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

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#begun.push({ request, response });
    else waiting({ request, response });
  };

  next(): Promise<Pair> {
    const begun = this.#begun.shift();
    return begun === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(begun);
  }
}

interface Pair {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Passes everything on at once, in both directions. */
const UNBUFFERED = 'proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;';

function gatewayTo(t: TestContext, port: number, lines = ''): Promise<StartedGateway> {
  return startGateway(t, { server: `location / { proxy_pass http://127.0.0.1:${port}; ${lines} }` });
}

test('fetch: requests in turn go over one connection on either side', async (t) => {
  const clientPorts = new Set<string>();
  const peer = await startHttpPeer(t, (request, response) => {
    clientPorts.add(String(request.headers['x-port']));
    response.end(`${request.method} ${request.url}`);
  });
  const gateway = await gatewayTo(t, peer.port, 'proxy_set_header X-Port $remote_port;');
  for (let turn = 0; turn < 20; turn++) {
    const answer = await fetch(gateway.url('http', `/page?${turn}`));
    assert.equal(await answer.text(), `GET /page?${turn}`);
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
    const headers = { 'x-status': `${status}`, 'x-asked': 'grün'.normalize('NFKD').replace(/\P{ASCII}/gu, '') };
    const answer = await fetch(gateway.url('http', '/'), { method, headers, body: `body of ${method}` });
    assert.equal(answer.status, status);
    assert.equal(answer.headers.get('x-seen'), `${method} grun`);
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
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({ start: (controller) => void (body = controller) });
  const asked: StreamingRequest = { method: 'POST', body: stream, duplex: 'half' };
  const answering = fetch(gateway.url('http', '/'), asked);
  body?.enqueue(Buffer.from('first '));
  const { request, response } = await requests.next();
  assert.equal(request.headers['transfer-encoding'], 'chunked');
  request.setEncoding('latin1');
  assert.deepEqual(await once(request, 'data'), ['first ']);
  body?.enqueue(Buffer.from('second'));
  assert.deepEqual(await once(request, 'data'), ['second']);
  body?.close();
  await once(request.resume(), 'end');
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
  const peer = await startHttpPeer(t, (request, response) => void request.pipe(response));
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

test('undici: Expect: 100-continue is answered before the body is sent', async (t) => {
  const peer = await startHttpPeer(t, async (request, response) => void response.end(`got ${await text(request)}`));
  const gateway = await gatewayTo(t, peer.port);
  const client = new undici.Client(gateway.url('http', ''), { pipelining: 1 });
  t.after(() => client.destroy());
  const { statusCode, body } = await client.request({
    method: 'PUT',
    path: '/',
    body: 'the body',
    headers: { 'x-y': 'z' },
  });
  assert.deepEqual([statusCode, await body.text()], [200, 'got the body']);
});

test('undici: trailers of an answer arrive', async (t) => {
  const peer = await startHttpPeer(t, (_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('body');
    response.addTrailers({ 'X-Sum': '42' });
    response.end();
  });
  const gateway = await gatewayTo(t, peer.port);
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

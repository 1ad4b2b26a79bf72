// HTTP clients in wide use through the gateway (Node's own fetch and http, undici): connections that are kept, bodies that stream.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import * as undici from 'undici';
import { HttpPeer } from './http-peer.ts';
import { type StartedGateway, startGateway } from './start-gateway.ts';

const MEGABYTE = 1024 * 1024;

/** What the types of Node leave out: the body of a request that streams. */
type StreamingRequest = RequestInit & { readonly duplex: 'half' };

interface Pair {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
}

/** The next request that reaches the peer, for the test itself to answer. */
function nextAt(peer: HttpPeer): Promise<Pair> {
  return new Promise((resolve) => {
    peer.handler = (incoming, response) => resolve({ incoming, response });
  });
}

function startWith(t: Parameters<typeof startGateway>[0], { port }: HttpPeer): Promise<StartedGateway> {
  return startGateway(t, {
    http: `upstream application { server 127.0.0.1:${port}; keepalive 8; }`,
    server: `client_max_body_size 0; proxy_set_header X-Port $remote_port; proxy_pass_trailers on;
      location / { proxy_pass http://application; }
      location /unbuffered { proxy_pass http://application; proxy_buffering off; proxy_request_buffering off; }`,
  });
}

test('HTTP clients', async (t) => {
  const peer = await HttpPeer.start(t);
  const gateway = await startWith(t, peer);
  const url = gateway.url('http', '/');
  const unbuffered = gateway.url('http', '/unbuffered');

  await t.test('fetch: connections are kept on either side', async () => {
    const clientPorts = new Set<string>();
    peer.handler = (asked, response) => {
      clientPorts.add(String(asked.headers['x-port']));
      response.end(`${asked.method} ${asked.url}`);
    };
    const turns = 40;
    for (let turn = 0; turn < turns; turn++) {
      const answer = await fetch(`${url}page?${turn}`);
      assert.equal(await answer.text(), `GET /page?${turn}`);
    }
    // Whether a connection is free again for the next request is a matter of ticks inside of fetch; but not each time a new one.
    assert.ok(clientPorts.size < turns / 4, `${clientPorts.size} connections of the client`);
    assert.equal(peer.connections, 1);
  });

  await t.test('undici: requests in turn go over the one connection that it may have', async (t) => {
    const clientPorts = new Set<string>();
    peer.handler = (asked, response) => {
      clientPorts.add(String(asked.headers['x-port']));
      response.end();
    };
    const dispatcher = new undici.Agent({ connections: 1, connect: { ca: gateway.ca } });
    t.after(() => dispatcher.destroy());
    for (let turn = 0; turn < 20; turn++) {
      const { statusCode, body } = await undici.request(gateway.url('https', '/'), { dispatcher });
      assert.deepEqual([statusCode, await body.text()], [200, '']);
    }
    assert.equal(clientPorts.size, 1);
  });

  await t.test('fetch: every method, with its body and its status, and headers both ways', async () => {
    peer.handler = async (asked, response) => {
      const body = await text(asked);
      const status = Number(asked.headers['x-status']);
      response.writeHead(status, { 'X-Seen': `${asked.method} ${asked.headers['x-asked']}`, 'X-Many': ['a', 'b'] });
      response.end(status === 204 ? undefined : body);
    };
    for (const [method, status] of Object.entries({ POST: 201, PUT: 200, PATCH: 422, DELETE: 204, REPORT: 207 })) {
      const headers = { 'x-status': `${status}`, 'x-asked': 'for it' };
      const answer = await fetch(url, { method, headers, body: `body of ${method}` });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('x-seen'), `${method} for it`);
      assert.equal(answer.headers.get('x-many'), 'a, b');
      assert.equal(await answer.text(), status === 204 ? '' : `body of ${method}`);
    }
    const head = await fetch(url, { method: 'HEAD', headers: { 'x-status': '200' } });
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  await t.test('fetch: a request body of unknown length arrives while it is being sent', async () => {
    const reached = nextAt(peer);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const body = writable.getWriter();
    const asked: StreamingRequest = { method: 'POST', body: readable, duplex: 'half' };
    const answering = fetch(unbuffered, asked);
    await body.write(Buffer.from('first'));
    const { incoming, response } = await reached;
    assert.equal(incoming.headers['transfer-encoding'], 'chunked');
    incoming.setEncoding('latin1');
    assert.deepEqual(await once(incoming, 'data'), ['first']);
    await body.write(Buffer.from('second'));
    assert.deepEqual(await once(incoming, 'data'), ['second']);
    await body.close();
    await once(incoming.resume(), 'end');
    response.end('thanks');
    assert.equal(await (await answering).text(), 'thanks');
  });

  await t.test('fetch: an answer of unknown length arrives while it is being made', async () => {
    const reached = nextAt(peer);
    const answering = fetch(unbuffered);
    const { response } = await reached;
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

  await t.test('fetch: large bodies come back byte for byte, buffered and unbuffered', async () => {
    // Not while it reads: once the answer begins the rest of a request is not sent any more, as in nginx.
    peer.handler = async (asked, response) => void response.end(await buffer(asked));
    const body = randomBytes(8 * MEGABYTE);
    for (const to of [url, unbuffered]) {
      const answer = await fetch(to, { method: 'POST', body });
      assert.equal(body.equals(Buffer.from(await answer.arrayBuffer())), true, to);
    }
  });

  await t.test('fetch: a client that gives up is gone for the peer as well', async () => {
    const reached = nextAt(peer);
    const giveUp = new AbortController();
    const answering = fetch(url, { signal: giveUp.signal });
    const { response } = await reached;
    const closed = once(response, 'close');
    giveUp.abort();
    await assert.rejects(answering, { name: 'AbortError' });
    await closed;
    assert.equal(response.writableFinished, false);
  });

  await t.test('undici: requests that are pipelined over one TLS connection are answered in order', async (t) => {
    peer.handler = (asked, response) => response.end(asked.url);
    const client = new undici.Client(gateway.url('https', ''), { connect: { ca: gateway.ca }, pipelining: 8 });
    t.after(() => client.destroy());
    const paths = Array.from({ length: 40 }, (_, number) => `/${number}`);
    const answers = paths.map(async (path) => (await client.request({ method: 'GET', path })).body.text());
    assert.deepEqual(await Promise.all(answers), paths);
  });

  await t.test('http: Expect: 100-continue is answered before the body is sent', async () => {
    peer.handler = async (asked, response) => void response.end(`got ${await text(asked)}`);
    const asked = request(url, { method: 'PUT', headers: { Expect: '100-continue' } });
    asked.flushHeaders();
    await once(asked, 'continue');
    asked.end('the body');
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    assert.deepEqual([answer.statusCode, await text(answer)], [200, 'got the body']);
  });

  await t.test('undici: trailers of an answer arrive where they are let through', async () => {
    peer.handler = (_asked, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '42' });
      response.end();
    };
    const { body, trailers } = await undici.request(url);
    assert.equal(await body.text(), 'body');
    assert.deepEqual(trailers, { 'x-sum': '42' });
  });

  await t.test('undici: fetch over TLS trusts the gateway’s certificate, and fetch without it does not', async (t) => {
    peer.handler = (_asked, response) => response.end('trusted');
    const dispatcher = new undici.Agent({ connect: { ca: gateway.ca } });
    t.after(() => dispatcher.destroy());
    const answer = await undici.fetch(gateway.url('https', '/'), { dispatcher });
    assert.equal(await answer.text(), 'trusted');
    await assert.rejects(fetch(gateway.url('https', '/')), /fetch failed/);
  });
});

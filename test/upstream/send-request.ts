// Requests over upstream connections, for tests: one line to send, one to wait for what becomes of it.

import type { TestContext } from 'node:test';
import type { ConnectionSettings } from '../../src/upstream/connection-settings.ts';
import { DEFAULT_KEEPALIVE, type KeepaliveSettings } from '../../src/upstream/keepalive.ts';
import type { Peer } from '../../src/upstream/peer.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import type { UpstreamConnection } from '../../src/upstream/upstream-connection.ts';
import { makeUpstream, peerSettings } from './make-upstream.ts';
import { type PeerSide, type RawPeer, rawPeer } from './raw-peer.ts';
import { RecordingWatcher } from './recording-watcher.ts';

export const SETTINGS: ConnectionSettings = {
  connectTimeout: 5000,
  sendTimeout: 5000,
  readTimeout: 5000,
  headSize: 4096,
  tls: undefined,
};
export const GET = 'GET / HTTP/1.1\r\nHost: peer\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An upstream of one peer, with nginx's keepalive. */
export function upstreamOf(context: TestContext, name: string, keepalive: Partial<KeepaliveSettings> = {}): Upstream {
  const upstream = makeUpstream([peerSettings(name)], { keepalive: { ...DEFAULT_KEEPALIVE, ...keepalive } });
  context.after(() => upstream.retire());
  return upstream;
}

export interface Request {
  readonly head?: string;
  readonly method?: string;
  readonly settings?: ConnectionSettings;
  readonly tlsName?: string;
}

export interface Sent {
  readonly connection: UpstreamConnection;
  readonly watcher: RecordingWatcher;
}

/** Sends a request without a body as soon as there is a connection. */
export function send(upstream: Upstream, request: Request = {}): Sent {
  const watcher = new RecordingWatcher();
  const peer = upstream.peers[0] as Peer;
  const { settings = SETTINGS, tlsName = '', head = GET, method = 'GET' } = request;
  const connection = upstream.acquire(peer, settings, tlsName, watcher);
  const go = () => connection.send(head, method, 'none');
  watcher.onConnected = go;
  if (connection.ready) go();
  return { connection, watcher };
}

/** Sends one request to a peer that answers with this, and waits for what becomes of it. */
export async function answered(
  context: TestContext,
  answer: string,
  request: Request = {},
): Promise<Sent & { peer: RawPeer }> {
  const peer = await rawPeer(context, (side) => side.answerEach(answer));
  const sent = send(upstreamOf(context, peer.name), request);
  await sent.watcher.untilOver();
  return { ...sent, peer };
}

export const closing = (answer: string) => (side: PeerSide) => {
  side.socket.once('data', () => side.socket.end(answer, 'latin1'));
};

export async function answeredAndClosed(context: TestContext, answer: string, request: Request = {}): Promise<Sent> {
  const peer = await rawPeer(context, closing(answer));
  const sent = send(upstreamOf(context, peer.name), request);
  await sent.watcher.untilOver();
  return sent;
}

export const onRequest = (act: (side: PeerSide) => void) => (side: PeerSide) => {
  side.socket.once('data', () => act(side));
};

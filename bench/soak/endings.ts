// Every way in which a tunnel can end, both halves of each: what the client does, what the peer does, what must be seen.

import type { Socket } from 'node:net';
import { BINARY, CLOSE, type Frame, frame } from './frames.ts';

/** The client of one tunnel, as an ending sees it. */
export interface SoakClient {
  /** The status of the answer; 0 when none came. */
  readonly status: number;
  readonly frames: readonly Frame[];
  /** Whether the other side ended in order: with FIN, and over TLS with close_notify. */
  readonly ended: boolean;
  send(bytes: Buffer): void;
  /** Sends a close frame; the one that comes back is then not answered. */
  close(): void;
  /** Ends this direction: FIN, over TLS after close_notify. */
  end(): void;
  /** Is gone at once; over TLS without close_notify. */
  vanish(): void;
  reset(): void;
  pause(): void;
  resume(): void;
}

export interface Ending {
  readonly name: string;
  /**
   * The location: `/hasty` has short timeouts and its clients act at once; the peer of `/mortal` is killed when they
   * have acted. Default `/tunnel`.
   */
  readonly where?: '/hasty' | '/mortal';
  /** What the peer does with the opening request, where it does not open the tunnel. */
  readonly answer?: (peer: Socket) => void;
  /** What the peer does when it gets the message `end`. Everything else it echoes, a FIN too. */
  readonly peer?: (peer: Socket) => void;
  /** Whether the close frame that the peer gets is the answer to its own. */
  readonly peerClosesFirst?: true;
  /** Whether the peer does not answer a FIN with its own at once. */
  readonly peerEndsLater?: true;
  /** What the client does when all tunnels stand. Default: sends `end`. */
  readonly client?: (client: SoakClient) => void;
  /** What was wrong with what the client saw, when all is over; undefined for nothing. */
  readonly wrong?: (client: SoakClient) => string | undefined;
}

const MUCH = 1024 * 1024;
/** More than all buffers on the way can hold, so that the gateway must stop reading. */
const FLOOD = 8 * 1024 * 1024;
/** How long a flooded side does not read, in milliseconds. */
const DEAF_MS = 300;

/** A frame as the client sends it and as the peer does; made once, for thousands of tunnels send it. */
function both(opcode: number, payload: Buffer): { fromClient: Buffer; fromPeer: Buffer } {
  return { fromClient: frame(opcode, payload, true), fromPeer: frame(opcode, payload, false) };
}

/** The message that tells the peer to do its part. */
export const end = both(BINARY, Buffer.from('end'));
const half = both(BINARY, Buffer.alloc(3000, 'h'));
half.fromClient = half.fromClient.subarray(0, 1500);
half.fromPeer = half.fromPeer.subarray(0, 1500);
const much = both(BINARY, Buffer.alloc(MUCH, 'm'));
const flood = both(BINARY, Buffer.alloc(FLOOD, 'f'));
export const closing = both(CLOSE, Buffer.from([0x03, 0xe8]));
const nothing = (): void => {};

const mustSay = (status: number) => (client: SoakClient) =>
  client.status === status ? undefined : `answered ${client.status || 'nothing'} instead of ${status}`;
const mustEnd = (client: SoakClient) => (client.ended ? undefined : 'the end did not come in order');
const mustGetClose = (client: SoakClient) =>
  client.frames.at(-1)?.opcode === CLOSE ? mustEnd(client) : 'no close frame came';

function mustGetMuch(client: SoakClient): string | undefined {
  const got = client.frames.at(-1)?.payload.length ?? 0;
  return got === MUCH ? mustEnd(client) : 'what came after its FIN was lost';
}

export const endings: readonly Ending[] = [
  // The client ends it.
  { name: 'client-close-frame', client: (client) => client.close(), wrong: mustGetClose },
  { name: 'client-fin', client: (client) => client.end(), wrong: mustEnd },
  { name: 'client-reset', client: (client) => client.reset() },
  {
    name: 'client-vanishes-mid-frame',
    client(client) {
      client.send(half.fromClient);
      client.vanish();
    },
  },
  {
    name: 'client-reset-mid-frame',
    client(client) {
      client.send(half.fromClient);
      client.reset();
    },
  },
  {
    // Its FIN reaches the peer before a megabyte has come back, and the client is slow to take that.
    name: 'client-half-closes-with-data-on-its-way',
    peer: (peer) => setTimeout(() => peer.end(much.fromPeer), DEAF_MS),
    peerEndsLater: true,
    client(client) {
      client.send(end.fromClient);
      client.end();
      client.pause();
      setTimeout(() => client.resume(), 2 * DEAF_MS);
    },
    wrong: mustGetMuch,
  },
  {
    name: 'client-never-reads-then-resets',
    peer: (peer) => peer.write(flood.fromPeer),
    client(client) {
      client.pause();
      client.send(end.fromClient);
      setTimeout(() => client.reset(), DEAF_MS);
    },
  },

  // The peer ends it.
  {
    name: 'peer-close-frame',
    peer: (peer) => peer.write(closing.fromPeer),
    peerClosesFirst: true,
    wrong: mustGetClose,
  },
  { name: 'peer-fin', peer: (peer) => peer.end(), wrong: mustEnd },
  { name: 'peer-reset', peer: (peer) => peer.resetAndDestroy() },
  { name: 'peer-fin-mid-frame', peer: (peer) => peer.end(half.fromPeer), wrong: mustEnd },
  { name: 'peer-reset-mid-frame', peer: (peer) => peer.write(half.fromPeer, () => peer.resetAndDestroy()) },
  { name: 'peer-killed-mid-frame', where: '/mortal', peer: (peer) => peer.write(half.fromPeer) },
  {
    name: 'peer-never-reads-then-resets',
    peer(peer) {
      peer.pause();
      setTimeout(() => peer.resetAndDestroy(), DEAF_MS);
    },
    client(client) {
      client.send(end.fromClient);
      client.send(flood.fromClient);
    },
  },

  // There was never a tunnel.
  {
    name: 'peer-refuses',
    answer: (peer) => peer.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
    wrong: mustSay(403),
  },
  { name: 'peer-answers-garbage', answer: (peer) => peer.end('\0\x01 no HTTP at all\r\n\r\n'), wrong: mustSay(502) },
  {
    name: 'peer-answers-with-a-wrong-accept',
    answer: (peer) =>
      peer.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n',
      ),
    wrong: mustSay(502),
  },
  { name: 'peer-hangs-up-unanswered', answer: (peer) => peer.end(), wrong: mustSay(502) },
  { name: 'peer-resets-unanswered', answer: (peer) => peer.resetAndDestroy(), wrong: mustSay(502) },
  { name: 'peer-never-answers', where: '/hasty', answer: nothing, client: nothing, wrong: mustSay(504) },
  { name: 'client-resets-unanswered', answer: nothing, client: (client) => client.reset() },

  // The gateway ends it, for nothing came within proxy_read_timeout.
  { name: 'idle', where: '/hasty', client: nothing, wrong: mustEnd },
  {
    name: 'client-silent-mid-frame',
    where: '/hasty',
    client: (client) => client.send(half.fromClient),
    wrong: mustEnd,
  },
];

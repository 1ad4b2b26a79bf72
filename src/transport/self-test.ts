// Tries the handle channel on this runtime, plain and over TLS, before any connection depends on it.

import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Channel, ChannelOwner } from './channel.ts';
import { HandleChannel } from './handle-channel.ts';
import { takeHandle } from './take-handle.ts';

/** More than a socket's buffers hold, so that writes have to wait. */
const TRIAL_BYTES = 5 * 1024 * 1024;
/** Over TLS every write waits. */
const TLS_TRIAL_BYTES = 1024 * 1024;
/** How long one trial may take, in milliseconds. */
const TRIAL_MS = 5000;

/**
 * Sends bytes through a plain and a TLS connection on the loopback, with handle channels on both ends, and compares what comes back.
 * @returns false where a byte was lost or changed, a call is missing, or it takes longer than five seconds. Never rejects.
 */
export async function handlesCarryBytes(): Promise<boolean> {
  return (await tryOn(plainPair)) && (await tryOn(tlsPair));
}

type Failed = (why: unknown) => void;

/** Opens a server, and a connection to it, and calls back with the two ends. */
type Pair = (opened: (client: Socket, accepted: Socket) => void, cannotTry: () => void, failed: Failed) => Server;

function tryOn(pair: Pair): Promise<boolean> {
  return new Promise((resolve) => {
    const ends: Channel[] = [];
    const finish = (worked: boolean): void => {
      clearTimeout(timer);
      for (const end of ends) end.destroy();
      server.close();
      resolve(worked);
    };
    const timer = setTimeout(finish, TRIAL_MS, false);
    const opened = (client: Socket, accepted: Socket): void => sendAround(client, accepted, ends, finish);
    // Where TLS cannot even be tried (no cipher for it is allowed), nothing speaks against handles.
    const server = pair(
      opened,
      () => finish(true),
      () => finish(false),
    );
  });
}

function sendAround(client: Socket, accepted: Socket, ends: Channel[], finish: (worked: boolean) => void): void {
  const takenClient = takeHandle(client);
  const takenAccepted = takeHandle(accepted);
  if (takenClient === undefined || takenAccepted === undefined) finish(false);
  else carry(new HandleChannel(takenClient), new HandleChannel(takenAccepted), ends, finish);
}

function carry(near: Channel, far: Channel, ends: Channel[], finish: (worked: boolean) => void): void {
  ends.push(near, far);
  far.owner = new Echo(far);
  near.owner = new Trial(near, finish);
  far.resume();
}

class Echo implements ChannelOwner {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    if (!this.#channel.write(bytes, start, end)) this.#channel.pause();
  }

  channelDrain(): void {
    this.#channel.resume();
  }

  channelEnd(): void {
    this.#channel.end();
  }

  channelClose(): void {}
}

class Trial implements ChannelOwner {
  readonly #channel: Channel;
  readonly #finish: (worked: boolean) => void;
  readonly #sent = randomBytes(64 * 1024 + 1);
  readonly #total: number;
  #written = 0;
  #compared = 0;
  #same = true;

  constructor(channel: Channel, finish: (worked: boolean) => void) {
    this.#channel = channel;
    this.#finish = finish;
    this.#total = channel.tls === undefined ? TRIAL_BYTES : TLS_TRIAL_BYTES;
    channel.resume();
    this.channelDrain();
  }

  channelDrain(): void {
    while (this.#written < this.#total) {
      this.#written += this.#sent.length;
      if (!this.#channel.write(this.#sent, 0, this.#sent.length)) return;
    }
    this.#channel.end();
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const from = this.#compared % this.#sent.length;
      const length = Math.min(end - at, this.#sent.length - from);
      if (bytes.compare(this.#sent, from, from + length, at, at + length) !== 0) this.#same = false;
      this.#compared += length;
      at += length;
    }
  }

  channelEnd(): void {}

  channelClose(error: Error | undefined): void {
    this.#finish(this.#same && error === undefined && this.#compared === this.#written);
  }
}

const plainPair: Pair = (opened, _cannotTry, failed) => {
  const meet = meeting(opened);
  const server = createServer({ pauseOnConnect: true }, meet.accepted);
  server.on('error', failed);
  return server.listen(0, '127.0.0.1', () => {
    const socket = connect(portOf(server), '127.0.0.1', () => meet.connected(socket));
    socket.on('error', failed);
  });
};

/** TLS by a shared key needs no certificate. */
const tlsPair: Pair = (opened, cannotTry) => {
  const psk = randomBytes(32);
  const meet = meeting(opened);
  const server = createTlsServer({ ciphers: 'PSK', pskCallback: () => psk }, meet.accepted);
  server.on('error', cannotTry);
  server.on('tlsClientError', cannotTry);
  return server.listen(0, '127.0.0.1', () => {
    const pskCallback = () => ({ psk, identity: 'sockgate' });
    const options = {
      host: '127.0.0.1',
      port: portOf(server),
      ciphers: 'PSK',
      pskCallback,
      checkServerIdentity: () => undefined,
    };
    const socket: TLSSocket = connectTls(options, () => meet.connected(socket));
    socket.on('error', cannotTry);
  });
};

/** Waits for both ends. An end that came first stays paused until the other one is there. */
function meeting(opened: (client: Socket, accepted: Socket) => void) {
  let client: Socket | undefined;
  let accepted: Socket | undefined;
  const tell = (): void => {
    if (client !== undefined && accepted !== undefined) opened(client, accepted);
  };
  return {
    connected: (socket: Socket): void => {
      client = socket;
      tell();
    },
    accepted: (socket: Socket): void => {
      accepted = socket;
      tell();
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

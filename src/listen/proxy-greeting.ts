// The beginning of a connection on `listen … proxy_protocol`: the PROXY header is read, and what follows goes on to TLS or HTTP.

import type { Level } from '../diagnostics/error-log.ts';
import { ProxyHeaderReader } from '../http1/proxy-header.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { ConnectionEnds } from './connection-ends.ts';
import type { Greeting } from './greeting.ts';

/** Takes the connection behind its header; `left` is called when the greeting that it returns is over. */
type GoOn = (
  ends: ConnectionEnds,
  unread: Buffer | undefined,
  left: (greeting: Greeting) => void,
) => Greeting | undefined;

/** Stands for the whole greeting: for the TLS handshake, too, that may follow its header. */
export class ProxyGreeting implements ChannelOwner, DeadlineOwner, Greeting {
  readonly #channel: Channel;
  readonly #ends: ConnectionEnds;
  readonly #goOn: GoOn;
  readonly #left: (greeting: Greeting) => void;
  readonly #reader = new ProxyHeaderReader();
  readonly #deadline: Deadline;
  #handshake: Greeting | undefined = undefined;
  #over = false;

  constructor(channel: Channel, ends: ConnectionEnds, goOn: GoOn, left: (greeting: Greeting) => void) {
    this.#channel = channel;
    this.#ends = ends;
    this.#goOn = goOn;
    this.#left = left;
    this.#deadline = new Deadline(this);
    this.#deadline.set(ends.listener.defaultServer.settings.clientHeaderTimeout);
    channel.owner = this;
    channel.resume();
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    const state = this.#reader.push(bytes, start, end);
    if (state === 'broken') this.#refuse('error', this.#reader.fault);
    else if (state === 'done') this.#handOn();
  }

  channelEnd(): void {
    if (!this.#reader.begun) this.#refuse('info', 'client closed connection');
    else {
      this.#reader.cut();
      this.#refuse('error', this.#reader.fault);
    }
  }

  channelDrain(): void {}

  channelClose(): void {
    this.#leave();
  }

  deadlineReached(): void {
    this.#refuse('info', 'client timed out (110: Connection timed out)');
  }

  destroy(): void {
    if (this.#handshake === undefined) this.#channel.destroy();
    else this.#handshake.destroy();
    this.#leave();
  }

  #handOn(): void {
    this.#deadline.clear();
    const { header, rest } = this.#reader;
    const ends = header === undefined ? this.#ends : { ...this.#ends, proxyHeader: header };
    const unread = rest.length === 0 ? undefined : rest;
    let over = false;
    const handshake = this.#goOn(ends, unread, () => {
      over = true;
      this.#leave();
    });
    if (handshake === undefined || over) this.#leave();
    else this.#handshake = handshake;
  }

  #refuse(level: Level, reason: string): void {
    const { errorLog } = this.#ends.listener.defaultServer.settings.outside;
    const { id, clientAddress, listener } = this.#ends;
    const whose = `client: ${clientAddress}, server: ${listener.address.key}`;
    errorLog.write(level, `${reason} while reading PROXY protocol, ${whose}`, id);
    this.destroy();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline.clear();
    this.#left(this);
  }
}

// As much of a client of MQTT 3.1.1 as it takes to talk with a broker over a WebSocket.

import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';

export interface MqttMessage {
  readonly topic: string;
  readonly payload: Buffer;
}

export interface MqttWish {
  /** Different for each client: a broker closes the one that had the name before. */
  readonly name: string;
  /** Whom it trusts, PEM. */
  readonly ca: string;
}

/** MQTT 3.1.1 section 2.2.1; the flags that the standard wants beside it. */
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH = 0x30;
const PUBACK = 0x40;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;
const PINGREQ = 0xc0;
const PINGRESP = 0xd0;
const DISCONNECT = 0xe0;
/** Of a PUBLISH that is to be acknowledged. */
const AT_LEAST_ONCE = 0x02;
/** ms after which what has not come is missing. */
const PATIENCE = 20_000;

export class MqttClient {
  readonly socket: WebSocket;
  #received = Buffer.alloc(0);
  #lastNumber = 0;
  readonly #messages: MqttMessage[] = [];
  /** Types of packets that have come and are not messages, oldest first. */
  readonly #answers: number[] = [];
  #heard: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => {});
    // A packet may be in several messages of the WebSocket, and a message may have several packets.
    socket.on('message', (data) => this.#take(data as Buffer));
  }

  /** Connects; is ended with the test. */
  static async to(t: TestContext, url: string, { name, ca }: MqttWish): Promise<MqttClient> {
    const socket = new WebSocket(url, ['mqtt'], { ca });
    t.after(() => socket.terminate());
    const client = new MqttClient(socket);
    await once(socket, 'open');
    const clean = 2;
    client.#send(CONNECT, text('MQTT'), Buffer.from([4, clean, 0, 60]), text(name));
    await client.#answer(CONNACK);
    return client;
  }

  async subscribe(topics: string): Promise<void> {
    this.#send(SUBSCRIBE, this.#nextNumber(), text(topics), Buffer.from([0]));
    await this.#answer(SUBACK);
  }

  /** Resolves when the broker has it. */
  async publish(topic: string, payload: string | Buffer): Promise<void> {
    this.#send(PUBLISH | AT_LEAST_ONCE, text(topic), this.#nextNumber(), Buffer.from(payload));
    await this.#answer(PUBACK);
  }

  async ping(): Promise<void> {
    this.#send(PINGREQ);
    await this.#answer(PINGRESP);
  }

  /** The broker closes then. */
  disconnect(): void {
    this.#send(DISCONNECT);
  }

  /** The next message of what was subscribed to. */
  next(): Promise<MqttMessage> {
    return this.#until('a message', () => this.#messages.shift());
  }

  async #answer(type: number): Promise<void> {
    const came = await this.#until(`a packet of type ${type}`, () => this.#answers.shift());
    if (came !== type) throw new Error(`the broker answered with ${came} instead of ${type}`);
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    const late = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve, reject) => {
        this.#heard = resolve;
        late.onabort = () => reject(new Error(`waited in vain for ${what}`));
      });
    }
  }

  #nextNumber(): Buffer {
    const number = ++this.#lastNumber;
    return Buffer.from([number >> 8, number & 0xff]);
  }

  #send(first: number, ...parts: Buffer[]): void {
    const body = Buffer.concat(parts);
    this.socket.send(Buffer.concat([Buffer.from([first, ...lengthBytes(body.length)]), body]));
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (let packet = this.#cut(); packet !== undefined; packet = this.#cut()) this.#understand(packet);
    this.#heard();
  }

  /** The first packet, if it is whole: its first byte, then what follows its length. */
  #cut(): Buffer | undefined {
    const received = this.#received;
    let [at, length] = [1, 0];
    for (let more = true; more; at++) {
      const byte = received[at];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * 128 ** (at - 1);
      more = byte > 0x7f;
    }
    if (received.length < at + length) return undefined;
    this.#received = received.subarray(at + length);
    return Buffer.concat([received.subarray(0, 1), received.subarray(at, at + length)]);
  }

  #understand(packet: Buffer): void {
    const type = (packet[0] as number) & 0xf0;
    if (type !== PUBLISH) {
      this.#answers.push(type);
      return;
    }
    const end = 3 + packet.readUInt16BE(1);
    this.#messages.push({ topic: packet.toString('utf8', 3, end), payload: packet.subarray(end) });
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** MQTT 3.1.1 section 2.2.3: seven bits in each byte, the lowest first. */
function lengthBytes(length: number): number[] {
  const low = length & 0x7f;
  return length < 128 ? [low] : [low | 0x80, ...lengthBytes(length >> 7)];
}

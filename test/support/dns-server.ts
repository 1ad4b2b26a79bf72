// A name server on 127.0.0.1, over UDP and TCP on one port, that answers what a test says.

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

const TYPES = { A: 1, CNAME: 5, TXT: 16, AAAA: 28, SRV: 33 } as const;
type RecordType = keyof typeof TYPES;

/** One record of an answer. `data` as text: an address, a name, or `PRIORITY WEIGHT PORT NAME`. */
export interface DnsRecordWish {
  readonly type: RecordType;
  readonly data: string;
  /** Default: what was asked. */
  readonly owner?: string;
  /** Seconds. Default: 60. */
  readonly ttl?: number;
}

export interface DnsReply {
  readonly records?: readonly DnsRecordWish[];
  /** Default: 0. */
  readonly code?: number;
  readonly truncated?: boolean;
  /** Added to the identifier of the query. */
  readonly idShift?: number;
  /** Instead of the name that was asked. */
  readonly name?: string;
}

export interface DnsQuestion {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly overTcp: boolean;
}

/** undefined: no answer; bytes go as they are. */
export type DnsBehaviour = (question: DnsQuestion) => DnsReply | Buffer | undefined;

/** The shortest way to say it: the records of a name, by `NAME TYPE`. What is not there has none. */
export function dnsZone(zone: Readonly<Record<string, readonly DnsRecordWish[]>>): DnsBehaviour {
  return ({ name, type }) => ({ records: zone[`${name} ${type}`] ?? [] });
}

export class DnsServer {
  /** What was asked, in order. */
  readonly questions: DnsQuestion[] = [];
  /** May be changed at any time. */
  behaviour: DnsBehaviour;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #clients = new Set<Socket>();

  private constructor(behaviour: DnsBehaviour) {
    this.behaviour = behaviour;
    this.#udp = createSocket('udp4', (query, from) => this.#answerUdp(query, from));
    this.#tcp = createServer((socket) => this.#serve(socket));
  }

  /** Stops with the test. */
  static async start(context: TestContext, behaviour: DnsBehaviour): Promise<DnsServer> {
    const server = await DnsServer.open(behaviour);
    context.after(() => server.close());
    return server;
  }

  /** To be closed by whoever opened it. */
  static async open(behaviour: DnsBehaviour): Promise<DnsServer> {
    for (let tries = 10; ; tries--) {
      const server = new DnsServer(behaviour);
      try {
        await server.#listen();
        return server;
      } catch (error) {
        server.close();
        // The port that UDP got may be taken for TCP.
        if (tries === 0) throw error;
      }
    }
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** As `resolver` has it. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  asked(name: string, type?: RecordType): number {
    return this.questions.filter((one) => one.name === name && (type === undefined || one.type === type)).length;
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
    for (const client of this.#clients) client.destroy();
  }

  async #listen(): Promise<void> {
    this.#tcp.listen(0, '127.0.0.1');
    await once(this.#tcp, 'listening');
    this.#udp.bind((this.#tcp.address() as AddressInfo).port, '127.0.0.1');
    await once(this.#udp, 'listening');
  }

  #answerUdp(query: Buffer, from: RemoteInfo): void {
    const answer = this.#answer(query, false);
    if (answer !== undefined) this.#udp.send(answer, from.port, from.address);
  }

  #serve(socket: Socket): void {
    this.#clients.add(socket);
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        const end = 2 + bytes.readUInt16BE(0);
        const answer = this.#answer(bytes.subarray(2, end), true);
        bytes = bytes.subarray(end);
        if (answer !== undefined) socket.write(Buffer.concat([number16(answer.length), answer]));
      }
    });
  }

  #answer(query: Buffer, overTcp: boolean): Buffer | undefined {
    const question = { ...readQuestion(query), overTcp };
    this.questions.push(question);
    const reply = this.behaviour(question);
    return reply === undefined || Buffer.isBuffer(reply) ? reply : dnsMessage(question, reply);
  }
}

function readQuestion(query: Buffer): { id: number; name: string; type: string } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] as number; length > 0; length = query[at] as number) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const named = Object.entries(TYPES).find(([, value]) => value === type)?.[0] ?? `${type}`;
  return { id: query.readUInt16BE(0), name: labels.join('.'), type: named };
}

/** The message that says so. */
export function dnsMessage(question: Pick<DnsQuestion, 'id' | 'name' | 'type'>, reply: DnsReply): Buffer {
  const { records = [], code = 0, truncated = false, idShift = 0, name = question.name } = reply;
  const flags = 0x8180 | code | (truncated ? 0x0200 : 0);
  const head = [(question.id + idShift) & 0xffff, flags, 1, records.length, 0, 0].map(number16);
  const asked = [wireName(name), number16(TYPES[question.type as RecordType] ?? 0), number16(1)];
  return Buffer.concat([...head, ...asked, ...records.map((record) => wireRecord(record, name))]);
}

function wireRecord({ owner, type, ttl = 60, data }: DnsRecordWish, name: string): Buffer {
  const bytes = wireData(type, data);
  const time = Buffer.alloc(4);
  time.writeInt32BE(ttl);
  // The name that was asked is pointed to, as servers do.
  const who = owner === undefined || owner === name ? number16(0xc00c) : wireName(owner);
  return Buffer.concat([who, number16(TYPES[type]), number16(1), time, number16(bytes.length), bytes]);
}

function wireData(type: RecordType, data: string): Buffer {
  if (type === 'A') return Buffer.from(data.split('.').map(Number));
  if (type === 'AAAA') return ipv6(data);
  if (type === 'CNAME') return wireName(data);
  if (type === 'TXT') return Buffer.concat([Buffer.from([data.length]), Buffer.from(data)]);
  const [priority = '', weight = '', port = '', name = ''] = data.split(' ');
  return Buffer.concat([...[priority, weight, port].map((one) => number16(Number(one))), wireName(name)]);
}

function ipv6(text: string): Buffer {
  const [before = '', after = ''] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const missing = 8 - groups(before).length - groups(after).length;
  const all = [...groups(before), ...Array<string>(text.includes('::') ? missing : 0).fill('0'), ...groups(after)];
  return Buffer.concat(all.map((group) => number16(Number.parseInt(group, 16))));
}

function wireName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ]);
}

function number16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

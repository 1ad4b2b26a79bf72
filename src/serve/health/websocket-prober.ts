// Checks a peer by a WebSocket: the opening handshake, a ping that its pong answers, perhaps a message, and an orderly end.

import { randomBytes } from 'node:crypto';
import type { Exchange } from '../../exchange/exchange.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { Channel, ChannelOwner } from '../../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../../transport/deadlines.ts';
import { nobody } from '../../transport/nobody.ts';
import type { ProbeOutcome, Prober, RunningProbe } from '../../upstream/health-check.ts';
import { KeepalivePool, NO_KEEPALIVE } from '../../upstream/keepalive.ts';
import type { Peer } from '../../upstream/peer.ts';
import { UpstreamConnection } from '../../upstream/upstream-connection.ts';
import { systemFault, type UpstreamFault } from '../../upstream/upstream-fault.ts';
import type { UpstreamWatcher } from '../../upstream/upstream-watcher.ts';
import { checkHandshakeAnswer } from '../../websocket/handshake.ts';
import { extensionNames, listMembers } from '../../websocket/token-list.ts';
import { NO_BODY, proxyRequestHead } from '../proxy-request.ts';
import { traceOf } from './http-prober.ts';
import { LeavingPeers } from './leaving-peers.ts';
import { testHead, testVariables } from './match-tests.ts';
import { ProbeConversation } from './probe-conversation.ts';
import {
  connectionOf,
  failedBy,
  failedWith,
  mostTime,
  type ProbeDone,
  type ProbeSettings,
  placeOf,
  probeExchange,
  tlsNameOf,
} from './probe-settings.ts';

const ACTION = 'checking WebSocket';

export class WebSocketProber implements Prober {
  readonly settings: ProbeSettings;
  readonly pool = new KeepalivePool<UpstreamConnection>(NO_KEEPALIVE);
  readonly leaving = new LeavingPeers();

  constructor(settings: ProbeSettings) {
    this.settings = settings;
  }

  probe(peer: Peer, done: ProbeDone): RunningProbe {
    const probe = new WebSocketProbe(this, peer, done);
    probe.start();
    return probe;
  }

  close(): void {
    this.leaving.close();
  }
}

class WebSocketProbe implements RunningProbe, UpstreamWatcher, ChannelOwner, DeadlineOwner {
  readonly #prober: WebSocketProber;
  readonly #peer: Peer;
  readonly #key = randomBytes(16).toString('base64');
  readonly #exchange: Exchange;
  readonly #limit = new Deadline(this);
  readonly #waiting = new Deadline(this);
  #done: ProbeDone | undefined;
  #sentHead = '';
  #connection: UpstreamConnection | undefined = undefined;
  #channel: Channel | undefined = undefined;
  #conversation: ProbeConversation | undefined = undefined;

  constructor(prober: WebSocketProber, peer: Peer, done: ProbeDone) {
    this.#prober = prober;
    this.#peer = peer;
    this.#exchange = probeExchange(prober.settings, (head) => askForWebSocket(head, this.#key));
    this.#done = done;
  }

  start(): void {
    const { settings, pool } = this.#prober;
    const connection = connectionOf(settings, this.#exchange);
    if (typeof connection === 'string') {
      process.nextTick(() => this.#end(failedWith(connection)));
      return;
    }
    this.#limit.set(mostTime(settings));
    const from = settings.proxy.from?.(this.#exchange);
    const tlsName = tlsNameOf(settings, this.#exchange);
    const place = placeOf(this.#peer, settings.port);
    this.#connection = new UpstreamConnection(pool, place, connection, tlsName, this, from);
  }

  cancel(): void {
    this.#done = undefined;
    this.#limit.clear();
    this.#waiting.clear();
    this.#connection?.close();
    if (this.#channel === undefined) return;
    this.#channel.owner = nobody;
    this.#channel.destroy();
  }

  deadlineReached(): void {
    this.#end(failedWith('upstream timed out (110: Connection timed out)', this.#action));
  }

  get #action(): string {
    return this.#conversation?.action ?? 'reading response header from upstream';
  }

  upstreamConnected(): void {
    const { proxy, target } = this.#prober.settings;
    const settings = { ...proxy, httpVersion: 11, method: undefined } as const;
    const head = proxyRequestHead(this.#exchange, settings, { ...target, uri: undefined }, NO_BODY);
    if (typeof head === 'string') {
      this.#end(failedWith(head, 'sending request to upstream'));
      return;
    }
    this.#sentHead = completeHandshake(head.text, this.#exchange.head);
    this.#connection?.send(this.#sentHead, 'GET', 'none');
  }

  upstreamInformational(): void {}
  upstreamDrain(): void {}
  upstreamBody(): void {}
  upstreamEnd(): void {}

  upstreamHead(head: ResponseHead): void {
    const { tests } = this.#prober.settings;
    this.#exchange.upstreams = [traceOf(this.#peer, head.status)];
    this.#exchange.upstreamHead = head;
    const fault = this.#faultOf(head);
    const mismatch = testHead(tests, head) ?? testVariables(tests, this.#exchange);
    if (fault !== undefined) {
      const text = `upstream sent invalid answer to the upgrade: ${fault}, status ${head.status}`;
      this.#end({ passed: false, action: 'checking handshake', reason: { level: 'info', text } });
    } else if (mismatch !== undefined) this.#end(failedBy(mismatch));
    else this.#converse();
  }

  #faultOf(head: ResponseHead): string | undefined {
    const checked = checkHandshakeAnswer({
      status: head.status,
      headers: (lowerName) => head.headers.getJoined(lowerName),
      key: sentField(this.#sentHead, 'Sec-WebSocket-Key') ?? '',
      offeredProtocols: listMembers(sentField(this.#sentHead, 'Sec-WebSocket-Protocol')),
      offeredExtensions: extensionNames(sentField(this.#sentHead, 'Sec-WebSocket-Extensions')),
    });
    return checked.ok ? undefined : checked.fault;
  }

  #converse(): void {
    const connection = this.#connection as UpstreamConnection;
    const { tests, proxy } = this.#prober.settings;
    const { channel, rest } = connection.detachForTunnel();
    this.#connection = undefined;
    this.#channel = channel;
    channel.owner = this;
    this.#conversation = new ProbeConversation(tests, (frame) => channel.write(frame, 0, frame.length));
    this.#waiting.set(proxy.connection.readTimeout);
    this.#conversation.begin();
    if (rest.length > 0) this.channelData(rest, 0, rest.length);
    if (this.#done !== undefined) channel.resume();
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    const conversation = this.#conversation as ProbeConversation;
    conversation.read(bytes, start, end);
    const { outcome } = conversation;
    if (outcome === undefined) this.#waiting.touch();
    else if (outcome.passed) this.#leave(outcome);
    else this.#end(outcome);
  }

  #leave(outcome: ProbeOutcome): void {
    const channel = this.#channel as Channel;
    this.#channel = undefined;
    // Its own Close is awaited: the check has passed by then.
    this.#prober.leaving.add(channel);
    this.#end(outcome);
  }

  channelEnd(): void {
    this.#end(failedWith('upstream prematurely closed connection', this.#action));
  }

  channelClose(error: Error | undefined): void {
    if (error === undefined) this.channelEnd();
    else this.#end(failedWith(systemFault(error, 'recv()', 'reading upstream').message, ACTION));
  }

  channelDrain(): void {}

  upstreamFailed(fault: UpstreamFault): void {
    this.#connection = undefined;
    this.#end(failedWith(fault.message));
  }

  #end(outcome: ProbeOutcome): void {
    const done = this.#done;
    this.cancel();
    done?.(outcome);
  }
}

/** As a client would have asked: so the variables of the location's own lines have what they would have. */
function askForWebSocket(head: RequestHead, key: string): void {
  head.connectionUpgrade = true;
  head.upgrade = 'websocket';
  head.headers.add('Upgrade', 'websocket');
  head.headers.add('Connection', 'Upgrade');
  head.headers.add('Sec-WebSocket-Version', '13');
  head.headers.add('Sec-WebSocket-Key', key);
}

/** A check is a handshake whatever the location passes on of one. */
function completeHandshake(text: string, { headers }: RequestHead): string {
  let complete = text.slice(0, -2);
  for (let i = 0; i < headers.length; i++)
    if (sentField(text, headers.nameAt(i)) === undefined) complete += `${headers.nameAt(i)}: ${headers.valueAt(i)}\r\n`;
  return `${complete}\r\n`;
}

function sentField(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*?)\\r$`, 'im').exec(head)?.[1];
}

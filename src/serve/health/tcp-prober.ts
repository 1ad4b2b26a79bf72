// Checks a peer by a connection, over TLS where its location says so, and perhaps by what it has to say there.

import type { Exchange } from '../../exchange/exchange.ts';
import type { Channel, ChannelOwner } from '../../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../../transport/deadlines.ts';
import { nobody } from '../../transport/nobody.ts';
import { type ConnectWatcher, PeerConnect } from '../../upstream/connect.ts';
import type { ConnectionSettings } from '../../upstream/connection-settings.ts';
import type { ProbeOutcome, Prober, RunningProbe } from '../../upstream/health-check.ts';
import type { Peer } from '../../upstream/peer.ts';
import { systemFault, timedOut, type UpstreamFault } from '../../upstream/upstream-fault.ts';
import { LeavingPeers } from './leaving-peers.ts';
import { fits, MOST_EXAMINED } from './match-tests.ts';
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

/** A peer that says its piece in more parts than this does not say it. */
const MOST_PARTS = 1000;

export class TcpProber implements Prober {
  readonly settings: ProbeSettings;
  readonly leaving = new LeavingPeers();

  constructor(settings: ProbeSettings) {
    this.settings = settings;
  }

  probe(peer: Peer, done: ProbeDone): RunningProbe {
    const probe = new TcpProbe(this, done);
    probe.start(peer);
    return probe;
  }

  close(): void {
    this.leaving.close();
  }
}

class TcpProbe implements RunningProbe, ConnectWatcher, ChannelOwner, DeadlineOwner {
  readonly #prober: TcpProber;
  readonly #settings: ProbeSettings;
  readonly #exchange: Exchange;
  readonly #waiting = new Deadline(this);
  readonly #limit = new Deadline(this);
  #done: ProbeDone | undefined;
  #connection: ConnectionSettings | undefined = undefined;
  #connect: PeerConnect | undefined = undefined;
  #channel: Channel | undefined = undefined;
  #said = '';
  #parts = 0;

  constructor(prober: TcpProber, done: ProbeDone) {
    this.#prober = prober;
    this.#settings = prober.settings;
    this.#exchange = probeExchange(prober.settings, () => {});
    this.#done = done;
  }

  start(peer: Peer): void {
    const settings = this.#settings;
    const connection = connectionOf(settings, this.#exchange);
    if (typeof connection === 'string') {
      process.nextTick(() => this.#end(failedWith(connection)));
      return;
    }
    this.#connection = connection;
    this.#limit.set(mostTime(settings));
    this.#waiting.set(connection.connectTimeout);
    const from = settings.proxy.from?.(this.#exchange);
    const tlsName = tlsNameOf(settings, this.#exchange);
    this.#connect = new PeerConnect(placeOf(peer, settings.port), connection.tls, tlsName, this, from);
  }

  cancel(): void {
    this.#done = undefined;
    this.#waiting.clear();
    this.#limit.clear();
    this.#connect?.cancel();
    if (this.#channel === undefined) return;
    this.#channel.owner = nobody;
    this.#channel.destroy();
  }

  connectFailed(fault: UpstreamFault): void {
    this.#connect = undefined;
    this.#end(failedWith(fault.message));
  }

  connected(channel: Channel): void {
    const { send, expect } = this.#settings.tests;
    this.#connect = undefined;
    this.#channel = channel;
    channel.owner = this;
    const left = send === undefined || channel.writeLatin1(send);
    this.#waiting.set(this.#connection?.readTimeout ?? 0);
    if (expect !== undefined) channel.resume();
    else if (left) this.#pass(send === undefined ? 'connecting to upstream' : 'sending request to upstream');
  }

  channelDrain(): void {
    if (this.#settings.tests.expect === undefined) this.#pass('sending request to upstream');
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    const { expect } = this.#settings.tests;
    this.#waiting.touch();
    this.#said += bytes.toString('latin1', start, Math.min(end, start + MOST_EXAMINED - this.#said.length));
    if (expect === undefined || fits(() => expect(this.#said))) this.#pass('checking data');
    else if (this.#said.length === MOST_EXAMINED || ++this.#parts > MOST_PARTS) this.#mismatch();
  }

  channelEnd(): void {
    this.#mismatch();
  }

  channelClose(error: Error | undefined): void {
    if (error === undefined) this.#mismatch();
    else this.#end(failedWith(systemFault(error, 'recv()', 'reading upstream').message));
  }

  deadlineReached(): void {
    const fault = this.#connect?.timeOut() ?? timedOut('reading upstream');
    this.#end(failedWith(fault.message));
  }

  /** What was sent still leaves. */
  #pass(action: string): void {
    const channel = this.#channel as Channel;
    if (this.#settings.tests.send !== undefined) {
      this.#channel = undefined;
      channel.end();
      this.#prober.leaving.add(channel);
    }
    this.#end({ passed: true, action });
  }

  #mismatch(): void {
    this.#end(failedBy({ action: 'checking data', text: 'what the peer says does not match' }));
  }

  #end(outcome: ProbeOutcome): void {
    const done = this.#done;
    this.cancel();
    done?.(outcome);
  }
}

// A tunnel: bytes both ways between a client and a peer, with backpressure and timeouts, until both sides are gone.

import type { Channel } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import { FrameReader } from './frame-reader.ts';
import { CAUSES_OF, type GatewayCause, type TunnelCause, type TunnelSide, whoEnded } from './tunnel-cause.ts';
import { type LegOwner, TunnelLeg } from './tunnel-leg.ts';

/** Times are in ms. */
export interface TunnelSettings {
  /**
   * So long may nothing pass, in either direction (nginx's `proxy_read_timeout`, which any pass re-arms). It does not run while a
   * write is held up: then a send timeout does.
   */
  readonly readTimeout: number;
  /** So long may a write to the client be held up without progress: nginx's `send_timeout`. */
  readonly clientSendTimeout: number;
  /** The same for the peer: nginx's `proxy_send_timeout`. */
  readonly peerSendTimeout: number;
  /** Whether a client that takes nothing is reset rather than closed: nginx's `reset_timedout_connection`. */
  readonly resetTimedOutClient: boolean;
  /** When the tunnel is ended: a side that takes nothing and does not end either for so long is closed. Default 1 s. */
  readonly closeTimeout?: number;
}

export interface TunnelOptions {
  readonly client: Channel;
  readonly peer: Channel;
  readonly settings: TunnelSettings;
  /** Whether WebSocket frames are followed: not where another protocol was agreed on. */
  readonly followFrames: boolean;
  /** permessage-deflate was agreed on; see `FrameReaderSettings.rsv1`. */
  readonly deflate: boolean;
  readonly owner: TunnelOwner;
}

export interface TunnelOwner {
  /** The tunnel has ended, both channels are gone, nothing more comes of it. Called once. */
  tunnelEnded(tunnel: Tunnel): void;
}

/** RFC 6455 section 7.4.1: "going away". */
const GOING_AWAY = 1001;
const NO_CLOSE_FRAME = 0;
const DEFAULT_CLOSE_TIMEOUT = 1000;

// The states.
const RELAYING = 0;
/** Nothing is passed on any more; what was written leaves, then the channels close. */
const ENDING = 1;
const ENDED = 2;

export class Tunnel implements LegOwner, DeadlineOwner {
  readonly client: TunnelLeg;
  readonly peer: TunnelLeg;
  /** When `start` was called and when both channels were gone, in ms since 1970; 0 before that. */
  startedAt = 0;
  endedAt = 0;
  /** What began the end of the tunnel; '' while nothing has. What follows from it (a FIN after a close frame) is not remembered. */
  endCause: TunnelCause | '' = '';
  readonly #settings: TunnelSettings;
  readonly #owner: TunnelOwner;
  #state = RELAYING;
  /** The read timeout, while relaying; the legs themselves bound their ending. */
  readonly #deadline: Deadline;
  /** When it must be over; undefined where it may last. */
  #lastDeadline: Deadline | undefined = undefined;

  constructor({ client, peer, settings, followFrames, deflate, owner }: TunnelOptions) {
    const reader = (masked: boolean) => (followFrames ? new FrameReader({ masked, rsv1: deflate }) : undefined);
    this.client = new TunnelLeg(this, 'client', client, reader(true), settings.clientSendTimeout);
    this.peer = new TunnelLeg(this, 'peer', peer, reader(false), settings.peerSendTimeout, this.client);
    this.#settings = settings;
    this.#owner = owner;
    this.#deadline = new Deadline(this);
  }

  /** Who ended it, '' while nobody has. */
  get endedBy(): TunnelSide | 'gateway' | '' {
    return this.endCause === '' ? '' : whoEnded(this.endCause);
  }

  /**
   * Takes over both channels and lets the bytes flow. A channel that is gone already ends the tunnel, perhaps from inside this call.
   * @param fromClient what came behind the client's head: the peer gets it before all else
   * @param fromPeer what came behind the peer's answer: the client gets it before all else
   */
  start(fromClient: Buffer | undefined, fromPeer: Buffer | undefined): void {
    this.startedAt = Date.now();
    this.client.channel.owner = this.client;
    this.peer.channel.owner = this.peer;
    this.#deadline.set(this.#settings.readTimeout);
    this.client.start(fromClient);
    this.peer.start(fromPeer);
  }

  /**
   * Ends both sides in order: a close frame to each where its stream stands between two frames, then the end of our half. What
   * they still send is read, for their close codes, and dropped.
   * @param closeCode what the close frames say
   */
  close(cause: GatewayCause, closeCode: number = GOING_AWAY): void {
    if (this.#state === ENDED) return;
    this.blame(cause);
    this.#finish(closeCode);
  }

  /** Whether WebSocket frames pass; else they are another protocol's opaque bytes. */
  get followsFrames(): boolean {
    return this.client.reader !== undefined;
  }

  /** Lets it last so many ms more, then closes it; one that has been given a time already keeps that. */
  closeWithin(ms: number, cause: GatewayCause): void {
    if (this.#state === ENDED || this.#lastDeadline !== undefined) return;
    this.#lastDeadline = new Deadline({ deadlineReached: () => this.close(cause) });
    this.#lastDeadline.set(ms);
  }

  /** Closes both channels now; what waits unsent is lost. */
  destroy(cause: GatewayCause): void {
    if (this.#state === ENDED) return;
    this.blame(cause);
    this.#leaveRelaying();
    this.client.channel.destroy();
    this.peer.channel.destroy();
  }

  /** The read timeout. Nothing can pass while a write is held up, so then it is not the silence of a side. */
  deadlineReached(): void {
    if (this.client.isBlocked || this.peer.isBlocked) this.#deadline.set(this.#settings.readTimeout);
    else this.close('read timeout');
  }

  #finish(closeCode: number): void {
    const patience = this.#settings.closeTimeout ?? DEFAULT_CLOSE_TIMEOUT;
    this.#leaveRelaying();
    this.client.finish(closeCode, patience);
    this.peer.finish(closeCode, patience);
  }

  #leaveRelaying(): void {
    this.#state = ENDING;
    this.#deadline.clear();
  }

  // What the legs tell.

  bytesPassed(): void {
    if (this.#state === RELAYING) this.#deadline.touch();
  }

  blame(cause: TunnelCause): void {
    if (this.endCause === '') this.endCause = cause;
  }

  /** The other direction goes on, unless that has ended too or both sides have said their last word. */
  legEnded(leg: TunnelLeg): void {
    if (this.#otherThan(leg).ended) this.#letFlow();
    else if (this.client.closeCode !== 0 && this.peer.closeCode !== 0) this.#finish(NO_CLOSE_FRAME);
  }

  /** Both sides have ended in order: the channels close when all that was written has left. */
  #letFlow(): void {
    this.#leaveRelaying();
    this.client.finish(NO_CLOSE_FRAME, this.#settings.clientSendTimeout);
    this.peer.finish(NO_CLOSE_FRAME, this.#settings.peerSendTimeout);
  }

  /** Where a side has gone out of order, the other one gets what had come, and is ended. */
  legClosed(leg: TunnelLeg, error: Error | undefined): void {
    if (this.#otherThan(leg).closed) this.#end();
    else if (error !== undefined || this.#state === RELAYING) this.#finish(NO_CLOSE_FRAME);
  }

  legStuck(leg: TunnelLeg): void {
    this.blame(CAUSES_OF[leg.side].sendTimeout);
    if (leg === this.client && this.#settings.resetTimedOutClient) leg.channel.reset();
    else leg.channel.destroy();
    this.#finish(GOING_AWAY);
  }

  #otherThan(leg: TunnelLeg): TunnelLeg {
    return leg === this.client ? this.peer : this.client;
  }

  #end(): void {
    this.#leaveRelaying();
    this.#lastDeadline?.clear();
    this.#state = ENDED;
    this.endedAt = Date.now();
    this.#owner.tunnelEnded(this);
  }
}

// A tunnel: bytes both ways between a client and a peer, with backpressure, pings and timeouts, until both sides are gone.

import type { Channel } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { reportOwnerFault } from '../transport/owner-fault.ts';
import { CloseCode, NO_CLOSE_FRAME } from './close-code.ts';
import { FirstMessages, type FirstMessagesSettings } from './first-messages.ts';
import { FrameReader } from './frame-reader.ts';
import { type FrameFault, type FrameRuleSettings, FrameRules } from './frame-rules.ts';
import { mayBeSent } from './frame-writer.ts';
import { Opcode } from './opcode.ts';
import { CAUSES_OF, type GatewayCause, type TunnelCause, type TunnelSide, whoEnded } from './tunnel-cause.ts';
import { type LegOwner, TunnelLeg } from './tunnel-leg.ts';

/** Times are in ms. */
export interface TunnelSettings {
  /**
   * nginx's `proxy_read_timeout`. With pings: so long may a side be silent before it is taken for dead. Without: so long may nothing
   * pass, in either direction. It does not run while a write is held up: then a send timeout does.
   */
  readonly readTimeout: number;
  /**
   * A side that has been silent for so long is sent a ping; up to a quarter earlier, so that not all tunnels ping at once. Where that
   * is not below `readTimeout`, who is pinged has all of `readTimeout` to answer. 0: no pings at all, as in nginx.
   */
  readonly pingInterval: number;
  /** So long may a write to the client be held up without progress: nginx's `send_timeout`. */
  readonly clientSendTimeout: number;
  /** The same for the peer: nginx's `proxy_send_timeout`. */
  readonly peerSendTimeout: number;
  /** Whether a client that takes nothing is reset rather than closed: nginx's `reset_timedout_connection`. */
  readonly resetTimedOutClient: boolean;
  /**
   * When the tunnel is ended: so long a side may take to answer a close frame, to end its half, or to take anything of what it was
   * sent before.
   */
  readonly closeTimeout: number;
  /** What the close frame says to a client that is asked to go; see `leave`. */
  readonly drainCode: number;
  /** What the client may send, and what the peer may; undefined: all. Only where frames are followed. */
  readonly clientRules?: FrameRuleSettings | undefined;
  readonly peerRules?: FrameRuleSettings | undefined;
  /** Where WebSocket frames pass: after so long the client is asked to go, or up to a tenth earlier; 0: never. */
  readonly maxAge: number;
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
  /** Where WebSocket frames pass: when the peer is lost, the owner is asked to find another one. undefined: the client goes with it. */
  readonly resume?: ResumeOptions | undefined;
}

export interface ResumeOptions {
  /** What the client sent first, and the next peer gets before all else; undefined: nothing. */
  readonly replay: FirstMessagesSettings | undefined;
}

export interface TunnelOwner {
  /** The tunnel has ended, both channels are gone, nothing more comes of it. Called once. */
  tunnelEnded(tunnel: Tunnel): void;
  /**
   * The peer is lost, and `endCause` says how; the client could stay.
   * @returns whether another peer is looked for: then `resume` or `giveUp` is to be called, not from inside this call
   */
  peerLost?(tunnel: Tunnel): boolean;
  /** The peer is to be left, for it is no part of the configuration any more. @returns whether another one may take its place */
  mayMove?(tunnel: Tunnel): boolean;
  /** Another peer is not wanted any more. */
  lookNoMore?(tunnel: Tunnel): void;
}

// The states.
const RELAYING = 0;
/** The client has been asked to go; what it still sends is passed on up to its answer. */
const LEAVING = 1;
/** The peer has been asked to go; what it still sends is passed on up to its answer, what the client sends is kept for the next one. */
const MOVING = 2;
/** The peer is lost, another one is looked for. */
const HOLDING = 3;
/** Nothing is passed on any more; what was written leaves, then the channels close. */
const ENDING = 4;
const ENDED = 5;
type State = typeof RELAYING | typeof LEAVING | typeof MOVING | typeof HOLDING | typeof ENDING | typeof ENDED;

/** What a side is told when the other one has gone without a close frame: a gateway's word to a client, a client's word to a peer. */
const CODE_TO: { readonly [side in TunnelSide]: number } = {
  client: CloseCode.badGateway,
  peer: CloseCode.goingAway,
};

/** With these a peer says that it goes and that somebody else, or itself, will be there (RFC 6455 section 7.4.1, and IANA's registry). */
const COMES_BACK: ReadonlySet<number> = new Set([CloseCode.goingAway, CloseCode.serviceRestart]);

/** One peer after the other. */
interface Succession {
  readonly deflate: boolean;
  resumes: number;
  lostMessages: number;
  /** How the last one was lost, while another one is looked for. */
  loss: { readonly cause: TunnelCause; readonly error: Error | undefined } | undefined;
}

export class Tunnel implements LegOwner, DeadlineOwner {
  readonly client: TunnelLeg;
  readonly peer: TunnelLeg;
  /** When it was made, in ms since 1970: its client is being told 101. */
  readonly startedAt = Date.now();
  /** When both channels were gone; 0 before that. */
  endedAt = 0;
  /** What began the end of the tunnel; '' while nothing has. What follows from it (a FIN after a close frame) is not remembered. */
  endCause: TunnelCause | '' = '';
  /** What the system said to that, where it said something. */
  endError: Error | undefined = undefined;
  /** What one side sent that it may not, where that is the cause. */
  fault: FrameFault | undefined = undefined;
  /** Only where the client may outlive its peer. */
  readonly #succession: Succession | undefined;
  readonly #settings: TunnelSettings;
  readonly owner: TunnelOwner;
  #state: State = RELAYING;
  /** When something passed last, on the clock of `now()`, in whole ms. */
  #passedAt = 0;
  /** So long is the silence before a ping, this time. */
  #pingAfter: number;
  /** The next look at who is alive; while leaving, how long the client may take. The legs themselves bound their ending. */
  readonly #deadline: Deadline;
  /** When it must be over; undefined where it may last. */
  #lastDeadline: Deadline | undefined = undefined;

  constructor({ client, peer, settings, followFrames, deflate, owner, resume }: TunnelOptions) {
    const reader = (masked: boolean) => (followFrames ? new FrameReader({ masked, rsv1: deflate }) : undefined);
    const { clientSendTimeout, peerSendTimeout, clientRules, peerRules } = settings;
    this.client = new TunnelLeg(this, 'client', client, reader(true), clientSendTimeout, rulesOf(clientRules));
    this.peer = new TunnelLeg(this, 'peer', peer, reader(false), peerSendTimeout, rulesOf(peerRules), this.client);
    this.#succession = followFrames && resume !== undefined ? this.#mayStay(resume, deflate) : undefined;
    this.#settings = settings;
    this.owner = owner;
    this.#pingAfter = somewhatBefore(settings.pingInterval);
    this.#deadline = new Deadline(this);
  }

  #mayStay({ replay }: ResumeOptions, deflate: boolean): Succession {
    this.client.mayStay(replay === undefined ? undefined : new FirstMessages(replay));
    this.peer.mayStay(undefined);
    return { deflate, resumes: 0, lostMessages: 0, loss: undefined };
  }

  /** How often another peer has taken the place of one that was lost. */
  get resumes(): number {
    return this.#succession?.resumes ?? 0;
  }

  /** Messages of the client that went to a peer which was lost before anything more was heard of it, or of which it had but a part. */
  get lostMessages(): number {
    return this.#succession?.lostMessages ?? 0;
  }

  /** Who ended it, '' while nobody has. */
  get endedBy(): TunnelSide | 'gateway' | '' {
    return this.endCause === '' ? '' : whoEnded(this.endCause);
  }

  /** Whether WebSocket frames pass; else they are another protocol's opaque bytes. */
  get followsFrames(): boolean {
    return this.client.reader !== undefined;
  }

  /** Whether both sides still send what can be read as frames. */
  get #standsInFrames(): boolean {
    return this.client.reader?.opaque === false && this.peer.reader?.opaque === false;
  }

  /**
   * Takes over both channels and lets the bytes flow. A channel that is gone already ends the tunnel, perhaps from inside this call.
   * @param fromClient what came behind the client's head: the peer gets it before all else
   * @param fromPeer what came behind the peer's answer: the client gets it before all else
   */
  start(fromClient: Buffer | undefined, fromPeer: Buffer | undefined): void {
    this.client.channel.owner = this.client;
    this.peer.channel.owner = this.peer;
    const time = this.bytesPassed();
    this.client.heardAt = time;
    this.peer.heardAt = time;
    this.#deadline.set(this.#timeToNextLook(time));
    if (this.#settings.maxAge > 0 && this.followsFrames) this.#leaveAtAge(this.#settings.maxAge);
    this.client.start(fromClient);
    this.peer.start(fromPeer);
  }

  // How it is ended.

  /**
   * Ends both sides in order: a close frame to each where its stream stands between two frames, and the end of our half behind its
   * answer. What they still send is read, for their close codes, and dropped.
   * @param clientCode what the close frame to the client says
   * @param peerCode what the one to the peer says
   */
  close(cause: TunnelCause, clientCode: number = CloseCode.goingAway, peerCode: number = CloseCode.goingAway): void {
    if (this.#state === ENDED) return;
    this.blame(cause);
    this.#finish(clientCode, peerCode);
  }

  /**
   * Asks the client to go, behind the message that is on its way to it. What it still sends reaches the peer, which is closed with 1001
   * when the client has answered, or has not for the close timeout. Where no frames pass, it is as `close`.
   * @param code what the close frame to the client says
   * @returns false: it is ending already, if only by a close frame of either side that has passed
   */
  leave(cause: GatewayCause, code: number = this.#settings.drainCode): boolean {
    if (this.#state === MOVING || this.#state === HOLDING) return this.#leaveHeld(cause, code);
    if (this.#state !== RELAYING || this.client.closeCode !== 0 || this.peer.closeCode !== 0) return false;
    if (cause === 'removed by reload' && this.#mayMove) this.#move(cause);
    else if (this.#standsInFrames) this.#askToGo(cause, code);
    else this.close(cause, code);
    return true;
  }

  #askToGo(cause: GatewayCause, code: number): void {
    this.blame(cause);
    this.#state = LEAVING;
    this.#deadline.set(this.#settings.closeTimeout);
    this.client.sayClose(code);
  }

  /** A tenth is left to chance, so that those that came together do not go together. */
  #leaveAtAge(maxAge: number): void {
    this.#lastDeadline = new Deadline({ deadlineReached: () => void this.leave('max age') });
    this.#lastDeadline.set(maxAge * (0.9 + Math.random() / 10));
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

  // Holding on to the client without its peer.

  /**
   * Another peer takes the place of the one that was lost: it gets what the client has sent meanwhile.
   * @param channel its handshake has been answered as that of the first one was; paused. The tunnel's from now on
   * @param fromPeer what came behind its answer
   * @returns false: it comes too late, and has been closed
   */
  resume(channel: Channel, fromPeer: Buffer | undefined): boolean {
    if (this.#state !== HOLDING || this.#succession === undefined) {
      channel.destroy();
      return false;
    }
    this.#state = RELAYING;
    this.#succession.loss = undefined;
    this.#succession.resumes++;
    this.peer.welcome(channel);
    const time = this.bytesPassed();
    this.client.heardAt = time;
    this.peer.heardAt = time;
    this.#deadline.set(this.#timeToNextLook(time));
    this.client.goOnWith();
    this.peer.start(fromPeer);
    return true;
  }

  /** There is no other peer: the client is asked to go, and the tunnel ends by what has lost it the first one. */
  giveUp(): void {
    if (this.#state !== HOLDING) return;
    const loss = this.#succession?.loss;
    if (loss !== undefined) this.blame(loss.cause, loss.error);
    this.#finish(this.#settings.drainCode, NO_CLOSE_FRAME);
  }

  #leaveHeld(cause: GatewayCause, code: number): boolean {
    if (cause === 'removed by reload' && this.owner.mayMove?.(this) === true) return true;
    this.blame(cause);
    this.#finish(code, NO_CLOSE_FRAME);
    return true;
  }

  get #mayMove(): boolean {
    return this.#canStay && this.owner.mayMove?.(this) === true;
  }

  /** The peer is left between two messages of the client's, when it has said what it had to say. */
  #move(cause: GatewayCause): void {
    this.blame(cause);
    this.#state = MOVING;
    this.#deadline.set(this.#settings.closeTimeout);
    this.client.beginHolding();
    this.peer.sayClose(CloseCode.goingAway);
  }

  #moved(patience: number): void {
    if (!this.#staysWithout(patience)) this.#finish(this.#settings.drainCode, NO_CLOSE_FRAME);
  }

  /** Neither side has begun to leave, and both speak in frames. */
  get #canStay(): boolean {
    const { client, peer } = this;
    // Even the beginning of a close frame is gone with the peer that has it.
    const isClosing = client.reader?.opcode === Opcode.close || client.toldClose !== NO_CLOSE_FRAME;
    const isThere = !client.ended && !client.closed && !isClosing;
    const isClear = client.refused === undefined && peer.refused === undefined;
    return (
      this.#succession !== undefined && isThere && isClear && client.reader?.opaque === false && client.canBeReplayed
    );
  }

  /**
   * The peer is lost: whether the client stays, and another peer is looked for. It cannot stay where it has got a part of a message.
   * @param patience ms for what the peer is still to be told; 0: nothing is
   */
  #staysWithout(patience: number): boolean {
    if (this.#state !== RELAYING && this.#state !== MOVING) return false;
    if (!this.#canStay || this.peer.reader?.isWhole !== true || this.endCause === '') return false;
    if (this.#succession === undefined || !this.#isLookedFor()) return false;
    this.#hold(this.#succession, this.endCause, patience);
    return true;
  }

  /** Where the owner throws nobody is looked for: the client goes with its peer. */
  #isLookedFor(): boolean {
    try {
      return this.owner.peerLost?.(this) === true;
    } catch (fault) {
      reportOwnerFault(fault);
      return false;
    }
  }

  #hold(succession: Succession, cause: TunnelCause, patience: number): void {
    const isMoved = this.#state === MOVING && this.peer.saidClose !== NO_CLOSE_FRAME;
    const { peerRules } = this.#settings;
    succession.loss = { cause, error: this.endError };
    this.endCause = '';
    this.endError = undefined;
    this.#state = HOLDING;
    this.#deadline.clear();
    if (!isMoved) succession.lostMessages += this.peer.unheardMessages;
    this.peer.leaveBehind(new FrameReader({ masked: false, rsv1: succession.deflate }), rulesOf(peerRules), patience);
    if (this.client.holdOn(!isMoved)) succession.lostMessages++;
  }

  closeKept(leg: TunnelLeg): boolean {
    if (leg !== this.peer || !COMES_BACK.has(leg.closeCode) || !this.#canStay) return false;
    this.blame('peer close');
    return this.#staysWithout(this.#settings.closeTimeout);
  }

  leftAlone(leg: TunnelLeg): void {
    if (leg !== this.client || (this.#state !== HOLDING && this.#state !== MOVING)) return;
    this.#finish(mayBeSent(leg.closeCode) ? leg.closeCode : CloseCode.normal, NO_CLOSE_FRAME);
  }

  /** What the client is told when the peer has gone and no other one comes. */
  get #codeToClient(): number {
    return this.#succession !== undefined ? this.#settings.drainCode : CODE_TO.client;
  }

  #finish(clientCode: number, peerCode: number): void {
    const patience = this.#settings.closeTimeout;
    this.#leaveRelaying();
    this.client.finish(clientCode, patience);
    this.peer.finish(peerCode, patience);
  }

  #leaveRelaying(): void {
    if (this.#state === HOLDING) this.owner.lookNoMore?.(this);
    this.client.dropHeld();
    this.#state = ENDING;
    this.#deadline.clear();
  }

  // Who is alive.

  deadlineReached(): void {
    if (this.#state === RELAYING) this.#look(Math.trunc(now()));
    else if (this.#state === MOVING) this.#moved(0);
    else this.#finish(this.client.closeThatWaits, CloseCode.goingAway); // the client did not answer
  }

  /** Nothing can pass while a write is held up, so then it is not the silence of a side. */
  #look(time: number): void {
    this.client.noteSpeech();
    this.peer.noteSpeech();
    if (!this.client.isBlocked && !this.peer.isBlocked) {
      if (this.#pings) this.#lookAtBoth(time);
      else if (time - this.#passedAt >= this.#settings.readTimeout) this.close('idle');
    }
    if (this.#state === RELAYING) this.#deadline.set(this.#timeToNextLook(time));
  }

  get #pings(): boolean {
    return this.#pingAfter > 0 && this.client.canBePinged && this.peer.canBePinged;
  }

  #lookAtBoth(time: number): void {
    this.#lookAt(this.client, time);
    if (this.#state === RELAYING) this.#lookAt(this.peer, time);
  }

  #lookAt(leg: TunnelLeg, time: number): void {
    if (leg.owesPong) {
      if (time >= this.#lastMomentOf(leg)) this.#pongMissed(leg);
    } else if (time >= leg.heardAt + this.#pingAfter) {
      leg.ping();
      this.#pingAfter = somewhatBefore(this.#settings.pingInterval);
    }
  }

  /** Who was pinged late, for a frame was on its way to it, has its time to answer all the same. */
  #lastMomentOf(leg: TunnelLeg): number {
    const { readTimeout, pingInterval } = this.#settings;
    const grace = pingInterval < readTimeout ? Math.min(pingInterval, readTimeout - pingInterval) : readTimeout;
    return Math.max(leg.heardAt + readTimeout, leg.pingedAt + grace);
  }

  #timeToNextLook(time: number): number {
    const { readTimeout, pingInterval } = this.#settings;
    if (!this.#pings) return untilDue(this.#passedAt + readTimeout, time, readTimeout);
    // Never later than an interval: who answers meanwhile is to be pinged again in time.
    return Math.min(
      pingInterval,
      untilDue(this.#nextMomentOf(this.client), time, pingInterval),
      untilDue(this.#nextMomentOf(this.peer), time, pingInterval),
    );
  }

  #nextMomentOf(leg: TunnelLeg): number {
    return leg.owesPong ? this.#lastMomentOf(leg) : leg.heardAt + this.#pingAfter;
  }

  #pongMissed(leg: TunnelLeg): void {
    this.blame(CAUSES_OF[leg.side].pongMissed);
    if (leg === this.peer && this.#staysWithout(0)) return;
    leg.sayLastWord(CloseCode.goingAway);
    leg.channel.destroy();
    this.#finish(this.#codeToClient, CODE_TO.peer);
  }

  // What the legs tell.

  bytesPassed(): number {
    this.#passedAt = Math.trunc(now());
    return this.#passedAt;
  }

  blame(cause: TunnelCause, error?: Error): void {
    if (this.endCause !== '') return;
    this.endCause = cause;
    this.endError = error;
  }

  closeAnswered(leg: TunnelLeg): void {
    if (this.#state === MOVING && leg === this.peer) this.#moved(this.#settings.closeTimeout);
    if (this.#state !== LEAVING || leg !== this.client) return;
    this.peer.sayCloseBehind(CloseCode.goingAway);
    this.#finish(NO_CLOSE_FRAME, NO_CLOSE_FRAME);
  }

  legRefused(leg: TunnelLeg, fault: FrameFault): void {
    if (this.endCause === '') this.fault = fault;
    this.blame(`${leg.side} ${fault.kind}`);
    if (leg === this.client) this.#finish(fault.code, CODE_TO.peer);
    else this.#finish(CODE_TO.client, fault.code);
  }

  /** The other direction goes on, unless that has ended too or both sides have said their last word. */
  legEnded(leg: TunnelLeg): void {
    if (leg === this.peer && this.#staysWithout(0)) return;
    const other = this.#otherThan(leg);
    if (other.ended) this.#letFlow();
    else if (this.#state === ENDING) leg.endWriting();
    else if (this.client.closeCode !== 0 && this.peer.closeCode !== 0) this.#finish(NO_CLOSE_FRAME, NO_CLOSE_FRAME);
    else other.sayLastWord(other === this.client ? this.#codeToClient : CODE_TO.peer);
  }

  /** Both sides have ended: the channels close when all that was written has left. */
  #letFlow(): void {
    this.#leaveRelaying();
    this.client.finish(NO_CLOSE_FRAME, this.#settings.clientSendTimeout);
    this.peer.finish(NO_CLOSE_FRAME, this.#settings.peerSendTimeout);
  }

  /** Where a side has gone out of order, the other one gets what had come, and is ended. */
  legClosed(leg: TunnelLeg, error: Error | undefined): void {
    if (leg === this.peer && this.#staysWithout(0)) return;
    if (this.#otherThan(leg).closed) this.#end();
    else if (error !== undefined || this.#state < ENDING) this.#finish(this.#codeToClient, CODE_TO.peer);
  }

  legStuck(leg: TunnelLeg): void {
    this.blame(CAUSES_OF[leg.side].sendTimeout);
    if (leg === this.peer && this.#staysWithout(0)) return;
    if (leg === this.client && this.#settings.resetTimedOutClient) leg.channel.reset();
    else leg.channel.destroy();
    this.#finish(this.#codeToClient, CODE_TO.peer);
  }

  #otherThan(leg: TunnelLeg): TunnelLeg {
    return leg === this.client ? this.peer : this.client;
  }

  #end(): void {
    this.#leaveRelaying();
    this.#lastDeadline?.clear();
    this.#state = ENDED;
    this.endedAt = Date.now();
    this.owner.tunnelEnded(this);
  }
}

function rulesOf(settings: FrameRuleSettings | undefined): FrameRules | undefined {
  return settings === undefined ? undefined : new FrameRules(settings);
}

/** A little jitter: from three quarters of an interval to all of it, in whole ms. */
function somewhatBefore(interval: number): number {
  return Math.ceil(interval * (0.75 + Math.random() / 4));
}

/** ms until `due`; where that is over, so that something holds it up, `again`. */
function untilDue(due: number, time: number, again: number): number {
  return due > time ? due - time : again;
}

// One leg of a tunnel: what comes from one side goes to the other, followed and counted on its way.

import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { nobody } from '../transport/nobody.ts';
import { CloseCode, NO_CLOSE_FRAME } from './close-code.ts';
import { Farewell } from './farewell.ts';
import type { FirstMessages } from './first-messages.ts';
import type { FrameReader } from './frame-reader.ts';
import type { FrameFault, FrameRules } from './frame-rules.ts';
import { controlPayload, FrameScreen, type ScreenOwner } from './frame-screen.ts';
import { closeFrame } from './frame-writer.ts';
import { HeldMessages } from './held-messages.ts';
import { Opcode } from './opcode.ts';
import { Pulse } from './pulse.ts';
import { Staying } from './staying.ts';
import { CAUSES_OF, type SideCauses, type TunnelCause, type TunnelSide } from './tunnel-cause.ts';

/** What a leg tells of what happens on it. Fulfilled by `Tunnel`. */
export interface LegOwner {
  /** Bytes have come, or a write that was held up has left: there is life. @returns the time of `now()`, in whole ms */
  bytesPassed(): number;
  /** Something has begun the end of the tunnel; only the first is remembered. `error`: what the system said, where it said something. */
  blame(cause: TunnelCause, error?: Error): void;
  /** This side has answered a close frame of ours with its own, which went no further. */
  closeAnswered(leg: TunnelLeg): void;
  /** This side has sent a close frame. @returns whether it goes no further, for the other side is to stay */
  closeKept(leg: TunnelLeg): boolean;
  /** This side has sent a close frame while there is nobody who could get it. */
  leftAlone(leg: TunnelLeg): void;
  /** This side has sent what it may not: nothing of that has been passed on, nor will be of what comes behind it. */
  legRefused(leg: TunnelLeg, fault: FrameFault): void;
  /** The side has ended its half. */
  legEnded(leg: TunnelLeg): void;
  /** `error` as `ChannelOwner.channelClose` has it. */
  legClosed(leg: TunnelLeg, error: Error | undefined): void;
  /** A write to this side is held up for longer than it may be. */
  legStuck(leg: TunnelLeg): void;
}

// What may still be written to a side.
/** What comes from the other one is passed on. */
const OPEN = 0;
/** A close frame of ours was its last word: nothing is passed on any more. */
const CLOSE_SAID = 1;
/** Our half has ended, or is about to. */
const HALF_ENDED = 2;
/** There is no such side now, and perhaps there will be another one. */
const AWAY = 3;

export class TunnelLeg implements ChannelOwner, DeadlineOwner, ScreenOwner {
  readonly side: TunnelSide;
  channel: Channel;
  /** Follows what comes from this side; undefined where the protocol is not WebSocket. */
  reader: FrameReader | undefined;
  /** Bytes that came from this side and were passed on, heads of frames included; handshakes are not. */
  bytes = 0;
  /** When the first of them came, in ms since 1970; 0 as long as none has. */
  firstByteAt = 0;
  /** When this side was heard last, on the clock of `now()`, in whole ms. */
  heardAt = 0;
  /** This side has ended its half: nothing more will come. */
  ended = false;
  /** The channel is gone. */
  closed = false;
  /** The code of the close frame that we put in ourselves towards this side; 0 where we did not. */
  saidClose: number = NO_CLOSE_FRAME;
  /** The code of the close frame that this side was sent, the other side's or ours; 0 as long as there is none. */
  toldClose: number = NO_CLOSE_FRAME;

  /** Frames of messages that had come, and when the last of them had, both at the last `noteSpeech`. */
  #framesNoted = -1;
  #spokeBefore = 0;
  readonly #tunnel: LegOwner;
  readonly #causes: SideCauses;
  /** How long a write may be held up without any progress, in ms. */
  readonly #sendTimeout: number;
  #other: TunnelLeg;
  #writing: typeof OPEN | typeof CLOSE_SAID | typeof HALF_ENDED | typeof AWAY = OPEN;
  /** A write was held up, and the other leg is paused until it has left. */
  #blocked = false;
  /** Nothing goes to this side any more; what was written leaves, then the channel closes. */
  #finishing = false;
  /** What comes from this side is looked at frame by frame. */
  #screen: FrameScreen | undefined = undefined;
  /** Only where the client may outlive its peer. */
  #staying: Staying | undefined = undefined;
  /** What comes from this side is held back until then; undefined where it is not. */
  #heldBack: Deadline | undefined = undefined;
  /** Our pings to this side; made with the first. */
  #pulse: Pulse | undefined = undefined;
  /** A ping waits for the place between two frames. */
  #pingWaits = false;
  /** The code of a close frame that waits for the place between two messages. */
  #closeWaits: number = NO_CLOSE_FRAME;
  /** So long may what waits to be written stay as it is, in ms, and so much it was when that time began. */
  #patience = 0;
  #pendingBefore = 0;
  /** Made when a write is held up for the first time: most tunnels never need it. */
  #sendDeadline: Deadline | undefined = undefined;

  /**
   * @param rules what this side may send; undefined: all
   * @param other the leg that was made first, when this is the second
   */
  constructor(
    tunnel: LegOwner,
    side: TunnelSide,
    channel: Channel,
    reader: FrameReader | undefined,
    sendTimeout: number,
    rules: FrameRules | undefined,
    other?: TunnelLeg,
  ) {
    this.#tunnel = tunnel;
    this.side = side;
    this.channel = channel;
    this.reader = reader;
    this.#sendTimeout = sendTimeout;
    this.#causes = CAUSES_OF[side];
    this.#other = other ?? this;
    if (other !== undefined) other.#other = this;
    if (rules !== undefined && reader !== undefined) this.#screen = new FrameScreen(this, reader, rules);
  }

  /** The code of the close frame that came from this side, 0 where none came; see `FrameReader.closeCode`. */
  get closeCode(): number {
    return this.reader === undefined ? 0 : this.reader.closeCode;
  }

  /** Messages that came whole from this side, without what was refused; 0 where frames are not followed. */
  get messages(): number {
    return (this.#staying?.messagesBefore ?? 0) + (this.#screen?.messages ?? this.reader?.messages ?? 0);
  }

  /**
   * When this side last sent anything of a message, on the clock of `now()`, in whole ms: no later, and no earlier than the look at the
   * tunnel before that. Pings and pongs are no speech. Of another protocol than WebSocket all is.
   */
  get spokenAt(): number {
    const { reader } = this;
    const saidNothing = reader?.dataFrames === this.#framesNoted && reader.atFrameBoundary;
    return saidNothing ? this.#spokeBefore : this.heardAt;
  }

  /** To be called now and then: `spokenAt` is the more exact for it, and what comes costs nothing more. */
  noteSpeech(): void {
    this.#spokeBefore = this.spokenAt;
    this.#framesNoted = this.reader?.dataFrames ?? 0;
  }

  /** A write to this side is held up. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  /** ms that this side took to answer our last ping that it has answered; -1 where there is none. */
  get roundTrip(): number {
    return this.#pulse === undefined ? -1 : this.#pulse.roundTrip;
  }

  // What the channel tells.

  channelData(bytes: Buffer, start: number, end: number): void {
    this.heardAt = this.#tunnel.bytesPassed();
    const { reader } = this;
    if (this.#screen !== undefined) this.#passScreened(this.#screen, bytes, start, end);
    else {
      if (reader !== undefined) {
        reader.read(bytes, start, end);
        if (reader.closed) this.#closeCame();
      }
      this.passOn(bytes, start, end);
    }
    if (this.#finishing && reader?.closed === true) this.endWriting();
  }

  passOn(bytes: Buffer, start: number, end: number): void {
    const other = this.#other;
    if (other.#writing !== OPEN) {
      this.#hold(bytes, start, end);
      return;
    }
    if (this.bytes === 0) this.firstByteAt = Date.now();
    this.bytes += end - start;
    if (!other.channel.write(bytes, start, end)) other.#block();
  }

  channelEnd(): void {
    this.ended = true;
    this.#tunnel.blame(this.#causes.end);
    this.#tunnel.legEnded(this);
  }

  channelDrain(): void {
    if (!this.#blocked) return; // it is finishing
    this.#unblock();
    // The other side could not be heard meanwhile.
    this.#other.heardAt = this.#tunnel.bytesPassed();
    this.#other.#readOn();
  }

  channelClose(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#writing = HALF_ENDED;
    this.#unblock();
    this.#heldBack?.clear();
    this.#tunnel.blame(error === undefined ? this.#causes.end : this.#causes.reset, error);
    this.#tunnel.legClosed(this, error);
  }

  // Frame by frame, as long as there is a reason to.

  #passScreened(screen: FrameScreen, bytes: Buffer, start: number, end: number): void {
    if (this.#staying !== undefined) this.#staying.otherMessages = this.#other.messages;
    screen.pass(bytes, start, end);
    if (!screen.keeps && this.#needsNoScreen()) this.#screen = undefined;
  }

  #needsNoScreen(): boolean {
    return (
      (this.#staying === undefined || this.side === 'client') &&
      this.#screen?.rules === undefined &&
      !this.hasWords &&
      this.#pulse?.awaited !== true &&
      this.saidClose === NO_CLOSE_FRAME
    );
  }

  /** From the next frame on; what is under way passes as it is. */
  #screenFrames(): void {
    if (this.reader !== undefined) this.#screen ??= new FrameScreen(this, this.reader, undefined);
  }

  get hasWords(): boolean {
    const other = this.#other;
    return this.#staying?.isCounting === true || other.#pingWaits || other.#closeWaits !== NO_CLOSE_FRAME;
  }

  passRun(bytes: Buffer, start: number, end: number): void {
    if (this.#staying?.cutting === true || this.#writing === AWAY) return;
    this.#staying?.first?.take(bytes, start, end);
    this.passOn(bytes, start, end);
  }

  betweenFrames(): void {
    const other = this.#other;
    if (this.reader?.atMessageBoundary === true) this.#staying?.messageEnded(this.messages);
    if (other.#closeWaits !== NO_CLOSE_FRAME && this.reader?.atMessageBoundary === true)
      other.#writeClose(other.#closeWaits);
    else if (other.#pingWaits) other.#writePing();
  }

  controlFrame(bytes: Buffer, start: number, end: number): boolean {
    const { opcode } = this.reader as FrameReader;
    if (opcode === Opcode.pong) return !this.#isOurPong(bytes, start, end);
    if (opcode === Opcode.close) return this.#passesClose();
    return true;
  }

  holdBack(ms: number): void {
    this.channel.pause();
    this.#heldBack?.clear();
    this.#heldBack = new Deadline({ deadlineReached: () => this.#goOn() });
    this.#heldBack.set(ms);
  }

  #goOn(): void {
    this.#heldBack = undefined;
    this.#screen?.goOn();
    if (!this.#other.#blocked) this.#readOn();
  }

  #readOn(): void {
    if (this.#heldBack === undefined && this.#staying?.held?.isFull !== true) this.channel.resume();
  }

  refuse(fault: FrameFault): void {
    this.#tunnel.legRefused(this, fault);
  }

  #isOurPong(bytes: Buffer, start: number, end: number): boolean {
    return this.#pulse?.hears(controlPayload(bytes, start, end), now()) === true;
  }

  /** A close frame that answers ours has reached whom it is for. */
  #passesClose(): boolean {
    if (this.saidClose === NO_CLOSE_FRAME) {
      if (this.#tunnel.closeKept(this)) return false;
      this.#closeCame();
      return true;
    }
    this.#tunnel.blame(this.#causes.close);
    this.#tunnel.closeAnswered(this);
    return false;
  }

  /** This side has sent a close frame, which is passed on if the other one may still be sent anything. */
  #closeCame(): void {
    this.#tunnel.blame(this.#causes.close);
    const other = this.#other;
    this.#staying?.closeCame();
    if (other.#writing === OPEN) other.toldClose = this.closeCode;
    else if (this.#staying?.held !== undefined) this.#tunnel.leftAlone(this);
  }

  // Staying without the other side, until there is another one.

  /**
   * From the beginning: the client may outlive its peer, whose close frames can be kept back.
   * @param first what this side sends first is kept there
   */
  mayStay(first: FirstMessages | undefined): void {
    this.#staying = new Staying(first);
    if (this.side === 'peer' || first !== undefined) this.#screenFrames();
  }

  /** What was to be kept of its first messages is. */
  get canBeReplayed(): boolean {
    return this.#staying?.first?.tooLong !== true;
  }

  /** Messages of the other side that were passed on after this one was heard last. */
  get unheardMessages(): number {
    return Math.max(0, this.#other.messages - (this.#staying?.otherMessages ?? 0));
  }

  /** What this side sends is kept as soon as it cannot be passed on. */
  beginHolding(): void {
    if (this.#staying !== undefined) this.#staying.held ??= new HeldMessages();
  }

  /**
   * The other side has gone.
   * @param mayBeCut false: what came behind the last message that it has is kept already
   * @returns whether a message was under way to it, whose rest is dropped
   */
  holdOn(mayBeCut: boolean): boolean {
    const isCut = mayBeCut && this.reader?.atMessageBoundary === false;
    this.beginHolding();
    this.#staying?.beginWaiting(isCut);
    if (isCut) this.#screenFrames();
    this.#readOn();
    return isCut;
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    const isFull = this.#staying?.hold(bytes, start, end) === true;
    if (isFull) this.channel.pause();
  }

  /** Nothing is kept any more. */
  dropHeld(): void {
    if (this.#staying !== undefined) this.#staying.held = undefined;
  }

  /** There is another one on the other side: it gets what it has to get again, and what was kept. */
  goOnWith(): void {
    const { held, replay } = this.#staying as Staying;
    this.dropHeld();
    (this.#staying as Staying).replay = undefined;
    const other = this.#other;
    if (replay !== undefined && !other.channel.write(replay, 0, replay.length)) other.#block();
    for (const chunk of held?.chunks ?? []) this.passOn(chunk, 0, chunk.length);
    if (!other.#blocked) this.#readOn();
  }

  /**
   * This side is left behind, or has gone.
   * @param reader follows whoever comes next, and `rules` hold for it
   * @param patience for what it may still answer, in ms; 0: it is closed at once
   */
  leaveBehind(reader: FrameReader, rules: FrameRules | undefined, patience: number): void {
    if (this.closed) this.channel.owner = nobody;
    else this.#part(patience);
    (this.#staying as Staying).messagesBefore = this.messages;
    (this.#staying as Staying).otherMessages = this.#other.messages;
    this.reader = reader;
    this.#screen = new FrameScreen(this, reader, rules);
    this.#unblock();
    this.#heldBack?.clear();
    this.#heldBack = undefined;
    this.#pulse = undefined;
    this.#pingWaits = false;
    this.#closeWaits = NO_CLOSE_FRAME;
    this.#writing = AWAY;
    this.ended = true;
    this.closed = true;
  }

  /** The channel is somebody else's from now on. */
  #part(patience: number): void {
    const answers = this.closeCode !== 0 && this.#atFrameBoundary;
    if (patience > 0)
      new Farewell(this.channel, answers ? closeFrame(CloseCode.goingAway, '', true) : undefined, patience);
    else {
      this.channel.owner = nobody;
      this.channel.destroy();
    }
  }

  /** After `leaveBehind`: somebody has come. Nothing is read yet: see `start`. */
  welcome(channel: Channel): void {
    this.channel = channel;
    channel.owner = this;
    this.#writing = OPEN;
    this.ended = false;
    this.closed = false;
    this.saidClose = NO_CLOSE_FRAME;
    this.toldClose = NO_CLOSE_FRAME;
    this.#framesNoted = -1;
  }

  // A write that is held up: its source waits, but not for ever.

  #block(): void {
    this.#other.channel.pause();
    if (this.#blocked) return;
    this.#blocked = true;
    this.#expectProgress(this.#sendTimeout);
  }

  #unblock(): void {
    this.#blocked = false;
    this.#sendDeadline?.clear();
  }

  #expectProgress(within: number): void {
    this.#patience = within;
    this.#pendingBefore = this.channel.pendingBytes;
    this.#sendDeadline ??= new Deadline(this);
    this.#sendDeadline.set(within);
  }

  deadlineReached(): void {
    if (this.channel.pendingBytes < this.#pendingBefore) this.#expectProgress(this.#patience);
    else if (this.#finishing) this.channel.destroy();
    else this.#tunnel.legStuck(this);
  }

  // What the tunnel asks.

  /** Begins to read, behind what this side has sent before. */
  start(first: Buffer | undefined): void {
    if (first !== undefined && first.length > 0) this.channelData(first, 0, first.length);
    if (this.channel.destroyed) this.channelClose(undefined);
    else if (!this.#other.#blocked) this.#readOn();
  }

  /** A ping may be put in, now or soon, and its pong would be seen. */
  get canBePinged(): boolean {
    const { reader } = this;
    if (reader === undefined || reader.opaque || reader.closed || this.ended || this.#writing !== OPEN) return false;
    const towards = this.#other.reader as FrameReader;
    return !towards.opaque && !towards.closed;
  }

  /** This side was sent a ping after it was heard last. */
  get owesPong(): boolean {
    return this.pingedAt > this.heardAt;
  }

  /** When it was pinged last, on the clock of `now()`, in whole ms; 0 where it never was. */
  get pingedAt(): number {
    return this.#pulse === undefined ? 0 : Math.trunc(this.#pulse.sentAt);
  }

  /** Sends a ping between two frames: now, or as soon as the one that is under way has passed. Its pong is ours alone. */
  ping(): void {
    if (this.#atFrameBoundary) this.#writePing();
    else {
      this.#pingWaits = true;
      this.#other.#screenFrames();
    }
  }

  /**
   * Sends a close frame between two messages: now, or as soon as the one that is under way has passed. Nothing is passed on to this
   * side after it; what comes from this side is passed on up to its answer.
   */
  sayClose(code: number): void {
    if (this.#atFrameBoundary && this.#other.reader?.atMessageBoundary === true) this.#writeClose(code);
    else {
      this.#closeWaits = code;
      this.#other.#screenFrames();
    }
  }

  /** Sends a close frame where the other side's close frame has just been kept back: what goes to this one stands before it. */
  sayCloseBehind(code: number): void {
    if (this.#writing === OPEN) this.#writeClose(code);
  }

  /** The code of the close frame that waits for its place, 0 where none does. */
  get closeThatWaits(): number {
    return this.#closeWaits;
  }

  /** Sends a close frame, if one may be put in, and ends our half of this side. Reading goes on. */
  sayLastWord(closeCode: number): void {
    this.#closeIfPossible(closeCode);
    this.endWriting();
  }

  /** Ends our half of this side when all that was written has left. Reading goes on. */
  endWriting(): void {
    if (this.#writing >= HALF_ENDED) return;
    this.#writing = HALF_ENDED;
    this.channel.end();
  }

  /**
   * Nothing more is passed on to this side: a close frame if one may still be put in, and the end of our half behind its answer. What still
   * comes is read and dropped, for a socket that is closed with bytes unread is reset, and what we sent last may be lost with it.
   * May be called again, with less patience.
   * @param closeCode 0 for no close frame
   * @param patience how long the answer may be waited for, or what was written may wait without progress, before the channel is
   *   closed, in ms
   */
  finish(closeCode: number, patience: number): void {
    if (this.closed || this.channel.destroyed) return;
    this.#closeIfPossible(closeCode);
    if (!this.#owesClose) this.endWriting();
    this.#blocked = false;
    this.#finishing = true;
    this.#heldBack?.clear();
    this.#heldBack = undefined;
    this.#expectProgress(patience);
    this.channel.resume();
  }

  /** It has been sent a close frame of ours, and may still answer it. */
  get #owesClose(): boolean {
    return this.#writing === CLOSE_SAID && !this.ended && this.reader?.closed === false && !this.reader.opaque;
  }

  /** What goes to this side is what the other leg's reader has followed and its screen has let pass. */
  get #atFrameBoundary(): boolean {
    const { reader, refused } = this.#other;
    if (this.#writing !== OPEN || reader === undefined) return false;
    return refused === undefined ? reader.atFrameBoundary : refused === 'between frames';
  }

  /** Where in its stream something of this side was refused; undefined where nothing was. */
  get refused(): 'between frames' | 'within a frame' | undefined {
    return this.#screen?.stopped;
  }

  #closeIfPossible(code: number): void {
    if (code !== NO_CLOSE_FRAME && this.#atFrameBoundary) this.#writeClose(code);
  }

  #writeClose(code: number): void {
    this.#closeWaits = NO_CLOSE_FRAME;
    this.#pingWaits = false;
    this.saidClose = code;
    this.toldClose = code;
    const frame = closeFrame(code, '', this.side === 'peer');
    this.channel.write(frame, 0, frame.length);
    this.#writing = CLOSE_SAID;
    this.#screenFrames();
  }

  #writePing(): void {
    this.#pingWaits = false;
    this.#pulse ??= new Pulse();
    const frame = this.#pulse.beat(now(), this.side === 'peer');
    this.#screenFrames();
    if (!this.channel.write(frame, 0, frame.length)) this.#block();
  }
}

// The answer side of an upgrade: the peer's 101 is checked, then the tunnel is opened.

import type { Level } from '../diagnostics/error-log.ts';
import type {
  Exchange,
  LocationSettings,
  TunnelTrace,
  UpstreamTrace,
  WebSocketSettings,
} from '../exchange/exchange.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { OpeningReader, Selection } from '../upstream/balance/balancer.ts';
import type { Peer } from '../upstream/peer.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import type { FrameRuleSettings } from '../websocket/frame-rules.ts';
import { checkHandshakeAnswer } from '../websocket/handshake.ts';
import { extensionNames, listMembers } from '../websocket/token-list.ts';
import { Tunnel, type TunnelOwner, type TunnelSettings } from '../websocket/tunnel.ts';
import { complaintOf } from '../websocket/tunnel-complaint.ts';
import { leaveOutPage } from './answer.ts';
import { OpeningWatch } from './peer-opening.ts';
import { type ProxyRequestHead, peerUrl } from './proxy-request.ts';
import type { ProxySettings, ProxyTarget } from './proxy-settings.ts';
import { makeResumption, type TunnelResumption } from './tunnel-resumption.ts';

/**
 * Opens the tunnel after a peer's 101: `exchange.answer` has the fields to pass on.
 * @param end what is done when it has ended
 * @returns undefined when it is open, and both channels are the tunnel's; else what is wrong with the 101
 */
export function openTunnel(
  end: TunnelEnd,
  request: ProxyRequestHead,
  head: ResponseHead,
  connection: UpstreamConnection,
): string | undefined {
  const { exchange, settings, sticky } = end;
  const agreed = agreement(exchange, request, head);
  if (typeof agreed === 'string') return `upstream sent invalid answer to the upgrade: ${agreed}`;
  const opening = sticky?.opening();
  // Where the peer keeps the session, no other one could go on with it.
  if (sticky === undefined) end.prepareResumption(request, head);
  const { channel, rest } = connection.detachForTunnel();
  sendSwitch(exchange, head);
  const clientChannel = exchange.link.channel;
  const early = exchange.link.handOver();
  const tunnel = new Tunnel({
    client: clientChannel,
    peer: channel,
    settings: tunnelSettings(exchange.location, settings),
    followFrames: agreed.followFrames,
    deflate: agreed.deflate,
    owner: end,
    resume: end.resumption === undefined ? undefined : { replay: exchange.location.websocket.resume?.replay },
  });
  exchange.tunnel = tunnel satisfies TunnelTrace;
  exchange.slim();
  endTrace(exchange.upstreams?.at(-1));
  try {
    exchange.pipeline.handedOver(exchange, tunnel);
  } finally {
    // Whatever goes wrong there, both channels have an owner.
    if (opening === undefined) tunnel.start(early, rest);
    else startShowing(tunnel, early, rest, opening);
  }
  return undefined;
}

/** Made once for all tunnels of a location. */
const settingsOfTunnels = new WeakMap<LocationSettings, TunnelSettings>();

function tunnelSettings(location: LocationSettings, { connection }: ProxySettings): TunnelSettings {
  const known = settingsOfTunnels.get(location);
  if (known !== undefined) return known;
  const { readTimeout } = connection;
  const { ping, closeTimeout, drainCode, maxAge, validate } = location.websocket;
  const made: TunnelSettings = Object.freeze({
    readTimeout,
    pingInterval: ping === 'auto' ? Math.ceil(readTimeout / 3) : ping,
    clientSendTimeout: location.sendTimeout,
    peerSendTimeout: connection.sendTimeout,
    resetTimedOutClient: location.resetTimedoutConnection,
    closeTimeout,
    drainCode,
    clientRules: clientRules(location.websocket),
    peerRules: validate ? { ...NO_LIMITS, validate } : undefined,
    maxAge,
  });
  settingsOfTunnels.set(location, made);
  return made;
}

/** A channel that is read on gives its first bytes in another turn: until then somebody can be put before the tunnel's leg. */
function startShowing(tunnel: Tunnel, early: Buffer | undefined, rest: Buffer, opening: OpeningReader): void {
  const wantsMore = rest.length === 0 || opening.read(rest, 0, rest.length);
  tunnel.start(early, rest);
  const { channel } = tunnel.peer;
  if (wantsMore) channel.owner = new OpeningWatch(opening, channel);
}

const NO_LIMITS: FrameRuleSettings = {
  validate: false,
  maxFrameSize: Number.POSITIVE_INFINITY,
  maxMessageSize: Number.POSITIVE_INFINITY,
  messageRate: undefined,
  delaysMessages: false,
  controlRate: undefined,
};

/** @returns undefined where a client may send what it likes: its frames need not be looked at one by one */
function clientRules(said: WebSocketSettings): FrameRuleSettings | undefined {
  const { validate, maxFrameSize, maxMessageSize, messageRate, controlRate } = said;
  const isLimited = maxFrameSize < Number.POSITIVE_INFINITY || maxMessageSize < Number.POSITIVE_INFINITY;
  if (!validate && !isLimited && messageRate === undefined && controlRate === undefined) return undefined;
  const delaysMessages = messageRate?.excess === 'delay';
  return { validate, maxFrameSize, maxMessageSize, messageRate, delaysMessages, controlRate };
}

/** What was agreed on: frames to follow, or another protocol's opaque bytes; or what is wrong. */
function agreement(
  exchange: Exchange,
  request: ProxyRequestHead,
  head: ResponseHead,
): { followFrames: boolean; deflate: boolean } | string {
  if (request.upgrade === '') {
    leaveOutPage(exchange);
    return 'nobody asked for 101';
  }
  if (!isWebSocket(request.upgrade)) return otherProtocol(request, head);
  const { headers } = exchange.head;
  const checked = checkHandshakeAnswer({
    status: head.status,
    headers: (lowerName) => head.headers.getJoined(lowerName),
    key: headers.get('sec-websocket-key') ?? '',
    offeredProtocols: request.handshake?.protocols ?? listMembers(headers.getJoined('sec-websocket-protocol')),
    offeredExtensions: request.handshake?.extensions ?? extensionNames(headers.getJoined('sec-websocket-extensions')),
  });
  return checked.ok ? { followFrames: true, deflate: checked.deflate } : checked.fault;
}

function otherProtocol(request: ProxyRequestHead, head: ResponseHead) {
  const chosen = head.headers.get('upgrade')?.toLowerCase();
  const asked = listMembers(request.upgrade).map((member) => member.toLowerCase());
  if (chosen === undefined || !asked.includes(chosen)) return 'upgrade to something else';
  return { followFrames: false, deflate: false };
}

/** Sends the 101. Its `Upgrade` and `Connection` belong to this hop, so they are ours, with the peer's choice in them. */
function sendSwitch(exchange: Exchange, head: ResponseHead): void {
  exchange.answer.add('Upgrade', head.headers.get('upgrade') ?? 'websocket');
  exchange.answer.add('Connection', 'upgrade');
  exchange.contentLength = -1;
  exchange.sendHead();
}

const isWebSocket = (upgrade: string): boolean => upgrade.toLowerCase() === 'websocket';

/**
 * What is left to do when a tunnel has ended: its bytes go into the exchange's counts, its peer has one connection less, and both logs
 * tell of it. Of what has opened the tunnel nothing else is kept: there may be very many.
 */
export class TunnelEnd implements TunnelOwner {
  readonly exchange: Exchange;
  readonly settings: ProxySettings;
  readonly target: ProxyTarget;
  /** After it was lost, until there is another one, still the lost one. */
  peer: Peer;
  /** Only where the client may outlive its peer. */
  resumption: TunnelResumption | undefined = undefined;
  readonly sticky: Selection | undefined;

  /**
   * @param peer active for as long as the tunnel lasts
   * @param sticky who learns from what the peer says first, if anybody
   */
  constructor(
    exchange: Exchange,
    settings: ProxySettings,
    target: ProxyTarget,
    peer: Peer,
    sticky: Selection | undefined,
  ) {
    this.exchange = exchange;
    this.settings = settings;
    this.target = target;
    this.peer = peer;
    this.sticky = sticky;
  }

  tunnelEnded(tunnel: Tunnel): void {
    const exchange = this.exchange;
    exchange.bytesSent += tunnel.peer.bytes;
    exchange.bodyBytesSent += tunnel.peer.bytes;
    if (this.resumption === undefined) this.leavePeer(tunnel, 0, 0);
    else this.resumption.leavePeer(tunnel);
    this.sticky?.tunnelEnded(tunnel.client.messages);
    this.#complain(tunnel);
    exchange.pipeline.ended(exchange, tunnel);
  }

  #complain(tunnel: Tunnel): void {
    // Where another peer was looked for, the loss has been told.
    if (this.resumption?.hasTold === true) return;
    const complaint = complaintOf(tunnel);
    if (complaint !== undefined) this.log(complaint.level, complaint.message);
  }

  log(level: Level, message: string): void {
    const { exchange } = this;
    if (!exchange.location.errorLog.enabled(level)) return;
    exchange.log(level, message, peerUrl(exchange, this.settings, this.target, this.peer.name));
  }

  /** Before the client's 101 is written: it says what a client has to agree to that may outlive its peer. */
  prepareResumption(request: ProxyRequestHead, head: ResponseHead): void {
    this.resumption = makeResumption(this, request, head);
  }

  peerLost(tunnel: Tunnel): boolean {
    return this.resumption?.begin(tunnel) ?? false;
  }

  mayMove(): boolean {
    return this.resumption?.mayMove ?? false;
  }

  lookNoMore(): void {
    this.resumption?.cancel();
  }

  /**
   * The peer has one connection less, and its pass is told what has gone through the tunnel.
   * @param received bytes from peers that passes before were told of, and to them
   */
  leavePeer({ peer, client }: Tunnel, received: number, sent: number): void {
    const trace = this.exchange.upstreams?.at(-1);
    if (trace !== undefined) {
      trace.bytesReceived += peer.bytes - received;
      trace.bytesSent += client.bytes - sent;
    }
    this.peer.leave();
  }
}

/** The pass that opened the tunnel is the last one. Its time is that of the handshake. */
function endTrace(trace: UpstreamTrace | undefined): void {
  if (trace !== undefined) trace.responseTime = trace.headerTime;
}

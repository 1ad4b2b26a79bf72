// What a location says of WebSockets, whichever part of the gateway asks. Times in ms, sizes in bytes.

/** `websocket_connect_wait`. */
export interface ConnectWait {
  /** ms. */
  readonly timeout: number;
  /** The most handshakes that may wait at a time for an upstream, over all workers. */
  readonly most: number;
  /** The most handshakes in a second that peers get when they are back, over all workers. */
  readonly rate: number;
}

/** `websocket_resume`. */
export interface WebSocketResume {
  /** So long may another peer be looked for, in ms. */
  readonly timeout: number;
  /** `websocket_resume_replay`: so many messages that the client sent first, of at most `size` bytes together, are sent again; undefined: none. */
  readonly replay: { readonly count: number; readonly size: number } | undefined;
}

export interface WebSocketSettings {
  /**
   * `websocket`: a valid opening handshake is passed to the peer as one whatever the header lines say (auto), nothing but such
   * handshakes is (on), or the header lines alone decide (off).
   */
  readonly upgrade: 'auto' | 'on' | 'off';
  /** `websocket_allow_origin`: whether a handshake may come from where it does; undefined: from anywhere. */
  readonly allowsOrigin: ((asked: HandshakeOrigin) => boolean) | undefined;
  /** `websocket_subprotocols`: those that a peer may be offered; undefined: all that the client offers. */
  readonly subprotocols: ReadonlySet<string> | undefined;
  /** `websocket_extensions`: the lower-case names of those that a peer may be offered; undefined: all that the client offers. */
  readonly extensions: ReadonlySet<string> | undefined;
  /** The silence after which a side of a tunnel is pinged; auto: a third of the read timeout; 0: never. */
  readonly ping: 'auto' | number;
  /** How long a side may take to answer a close frame of ours. */
  readonly closeTimeout: number;
  /** `websocket_drain_code`: what the close frame says to a client that is asked to go. */
  readonly drainCode: number;
  /** `websocket_max_age`: how old a tunnel becomes; 0: as old as it likes. */
  readonly maxAge: number;
  /** How a handshake waits for a peer to come back; undefined: it does not. */
  readonly connectWait: ConnectWait | undefined;
  /** A client stays when its peer is lost, and another peer is looked for; undefined: it goes. */
  readonly resume: WebSocketResume | undefined;
  /** `websocket_log`: when a tunnel is a line of the access log. */
  readonly log: 'open' | 'close' | 'both';
  /** `websocket_validate`: what RFC 6455 does not allow ends the tunnel. */
  readonly validate: boolean;
  /** The longest payload of a frame from a client, and the longest message; Infinity for no limit. */
  readonly maxFrameSize: number;
  readonly maxMessageSize: number;
  /** How many messages may come from a client, and how many control frames; undefined: any. */
  readonly messageRate: WebSocketRate | undefined;
  readonly controlRate: WebSocketRate | undefined;
}

/** So many a second for ever, and `burst` more at once. */
export interface WebSocketRate {
  readonly perSecond: number;
  readonly burst: number;
  /** Whether those that come too fast wait, or end the tunnel. */
  readonly excess: 'delay' | 'close';
}

/** Where an opening handshake comes from, and whom it asks. */
export interface HandshakeOrigin {
  /** As the client sent it; undefined: it sent none, as is usual for whatever is no browser. */
  readonly origin: string | undefined;
  /** Who is asked: lower case, an IPv6 address in brackets. */
  readonly host: string;
  /** The port named beside it; 0: none, so that of the scheme. */
  readonly port: number;
  /** The connection to us is TLS. */
  readonly secure: boolean;
}

// What a location says of WebSockets, whichever part of the gateway asks. Times in ms, sizes in bytes.

export interface WebSocketSettings {
  /**
   * `websocket`: a valid opening handshake is passed to the peer as one whatever the header lines say (auto), nothing but such
   * handshakes is (on), or the header lines alone decide (off).
   */
  readonly upgrade: 'auto' | 'on' | 'off';
  /** The silence after which a side of a tunnel is pinged; auto: a third of the read timeout; 0: never. */
  readonly ping: 'auto' | number;
  /** How long a side may take to answer a close frame of ours. */
  readonly closeTimeout: number;
}

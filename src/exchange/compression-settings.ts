// When answers may be compressed or expanded: what a location says of it, whichever module asks.

/** What `gzip`, `gunzip` and `gzip_static` ask before they compress or expand an answer. */
export interface CompressionSettings {
  /** `Vary: Accept-Encoding` is told. */
  readonly vary: boolean;
  /** The least version of a request: 10 or 11. */
  readonly httpVersion: number;
  /** nginx's words for answers that may be compressed for proxies. */
  readonly proxied: ReadonlySet<string>;
  /** By `User-Agent`. */
  readonly disabledFor: (browser: string) => boolean;
}

// Where a connection to a peer is made from, where that is not left to the system.

export interface LocalAddress {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /** As written; connections are kept for it. */
  readonly text: string;
}

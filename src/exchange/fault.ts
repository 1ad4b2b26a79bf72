// An error that says who was at fault, with what an error log and an answer need to know of it.

/** Who is to blame: the one who called us, the one we called, or we ourselves. */
export type FaultSource = 'client' | 'upstream' | 'gateway';

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly source: FaultSource;
  /** A short name for tests and counters: `connect refused`, `read timeout`. */
  readonly kind: string;
  /** The HTTP status that tells the client, 0 where it has none to be told. */
  readonly status: number;

  constructor(source: FaultSource, kind: string, status: number, message: string, cause?: Error) {
    super(message, cause === undefined ? undefined : { cause });
    this.source = source;
    this.kind = kind;
    this.status = status;
  }
}

// What may stand between who makes an answer's body and the client: compression, pacing, a choice of ranges.

/** Where the bytes of a body go on: to the next filter, or to the client. */
export interface BodyOutlet {
  /** Takes bytes, which are lent for the call only. @returns false: wait for `BodySource.drain` before the next */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** Nothing more comes for now: what is held back only to be handed on in larger pieces shall leave. */
  flush(): void;
  /** The body is complete. */
  end(): void;
}

/** Who gives the bytes: the filter before, or whoever answers. */
export interface BodySource {
  /** What was taken with false has gone on: there is room again. It may come when nobody waits for it. */
  drain(): void;
}

/** A filter of one body. Nothing may be called on it, and it calls nobody, after `close`. */
export abstract class BodyFilter implements BodyOutlet, BodySource {
  outlet: BodyOutlet = NOWHERE;
  source: BodySource = NOBODY;

  abstract write(bytes: Uint8Array, start: number, end: number): boolean;
  abstract end(): void;
  /** What it has taken and not yet handed on, in bytes. It is bounded where its source heeds `write`. */
  abstract get pendingBytes(): number;

  flush(): void {
    this.outlet.flush();
  }

  drain(): void {
    this.source.drain();
  }

  /** The body is over, whole or not: frees whatever it holds. May be called more than once. */
  close(): void {}
}

const NOWHERE: BodyOutlet = { write: () => true, flush() {}, end() {} };
const NOBODY: BodySource = { drain() {} };

/** The filters of one body, in the order in which its bytes pass them. */
export class BodyFilters implements BodyOutlet, BodySource {
  readonly #filters: BodyFilter[] = [];
  readonly #source: BodySource;
  readonly #client: BodyOutlet;

  constructor(source: BodySource, client: BodyOutlet) {
    this.#source = source;
    this.#client = client;
  }

  /** Puts a filter behind those that are there. */
  add(filter: BodyFilter): void {
    const before = this.#filters.at(-1);
    if (before !== undefined) before.outlet = filter;
    filter.source = before ?? this.#source;
    filter.outlet = this.#client;
    this.#filters.push(filter);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return (this.#filters[0] as BodyFilter).write(bytes, start, end);
  }

  flush(): void {
    this.#filters[0]?.flush();
  }

  end(): void {
    this.#filters[0]?.end();
  }

  /** The client has room again. */
  drain(): void {
    this.#filters.at(-1)?.drain();
  }

  get pendingBytes(): number {
    return this.#filters.reduce((sum, filter) => sum + filter.pendingBytes, 0);
  }

  close(): void {
    for (const filter of this.#filters) filter.close();
  }
}

// Takes a stream of HTTP/1.1 messages apart, simply and without judging: for tests that look at what was really sent.

/** One message, whole. */
export interface HttpMessage {
  /** The first line, without its end. */
  readonly startLine: string;
  /** Of an answer; 0 of a request. */
  readonly status: number;
  /** Each field line as it came. */
  readonly fields: readonly string[];
  /** The head as it came, its empty line included. */
  readonly head: string;
  readonly body: Buffer;
  /** The payload of each chunk; undefined where the body was not chunked. */
  readonly chunks: readonly Buffer[] | undefined;
  readonly trailers: readonly string[];
}

/** The first value of a field, undefined where there is none. */
export function fieldOf({ fields }: Pick<HttpMessage, 'fields'>, name: string): string | undefined {
  return fieldsOf({ fields }, name)[0];
}

export function fieldsOf({ fields }: Pick<HttpMessage, 'fields'>, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`;
  return fields
    .filter((field) => field.toLowerCase().startsWith(prefix))
    .map((field) => field.slice(prefix.length).trim());
}

/** Names in lower case, in order. */
export function namesOf({ fields }: Pick<HttpMessage, 'fields'>): string[] {
  return fields.map((field) => field.slice(0, field.indexOf(':')).toLowerCase());
}

interface Part<T> {
  readonly value: T;
  readonly next: number;
}

/** For answers, `isBodiless` says which of them are to HEAD, by their number from 0. */
export class HttpReader {
  /** Those that are whole. */
  readonly messages: HttpMessage[] = [];
  #pieces: Buffer[] = [];
  #length = 0;
  /** Before so many bytes are here, there is no use in looking again. */
  #needed = 0;
  readonly #isBodiless: (index: number) => boolean;

  constructor(isBodiless: (index: number) => boolean = () => false) {
    this.#isBodiless = isBodiless;
  }

  /** What has come behind the last whole message. */
  get rest(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  push(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#length < this.#needed) return;
    for (let next = this.#read(false); next !== undefined; next = this.#read(false)) this.#take(next);
  }

  /** The stream has ended: an answer without a length is whole now. */
  end(): void {
    const next = this.#read(true);
    if (next !== undefined) this.#take(next);
  }

  #take({ value, next }: Part<HttpMessage>): void {
    this.messages.push(value);
    this.#pieces = [this.rest.subarray(next)];
    this.#length -= next;
    this.#needed = 0;
  }

  #read(ended: boolean): Part<HttpMessage> | undefined {
    const bytes = this.rest;
    const headEnd = bytes.indexOf('\r\n\r\n');
    if (headEnd < 0) return undefined;
    const head = bytes.toString('latin1', 0, headEnd + 4);
    const [startLine = '', ...fields] = head.slice(0, -4).split('\r\n');
    const status = startLine.startsWith('HTTP/') ? Number(startLine.split(' ')[1]) : 0;
    const start = { startLine, status, fields, head };
    const body = this.#body(start, bytes, headEnd + 4, ended);
    return body === undefined ? undefined : { value: { ...start, ...body.value }, next: body.next };
  }

  #body(
    start: Omit<HttpMessage, 'body' | 'chunks' | 'trailers'>,
    bytes: Buffer,
    at: number,
    ended: boolean,
  ): Part<Pick<HttpMessage, 'body' | 'chunks' | 'trailers'>> | undefined {
    const { status } = start;
    const isAnswer = status > 0;
    const none = isAnswer && (status < 200 || status === 204 || status === 304 || this.#isBodiless(this.#index));
    if (none) return plain(bytes, at, at);
    if (fieldOf(start, 'transfer-encoding') === 'chunked') return chunked(bytes, at);
    const length = fieldOf(start, 'content-length');
    if (length !== undefined) {
      this.#needed = at + Number(length);
      return this.#needed <= bytes.length ? plain(bytes, at, this.#needed) : undefined;
    }
    if (!isAnswer) return plain(bytes, at, at);
    this.#needed = Number.POSITIVE_INFINITY;
    return ended ? plain(bytes, at, bytes.length) : undefined;
  }

  /** Interim answers do not count. */
  get #index(): number {
    return this.messages.filter(({ status }) => status >= 200 || status === 101).length;
  }
}

function plain(bytes: Buffer, start: number, end: number) {
  return { value: { body: Buffer.from(bytes.subarray(start, end)), chunks: undefined, trailers: [] }, next: end };
}

function chunked(bytes: Buffer, start: number) {
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (size === 0) return lastChunk(bytes, chunks, lineEnd + 2);
    if (lineEnd + 4 + size > bytes.length) return undefined;
    chunks.push(Buffer.from(bytes.subarray(lineEnd + 2, lineEnd + 2 + size)));
    at = lineEnd + 4 + size;
  }
}

function lastChunk(bytes: Buffer, chunks: readonly Buffer[], start: number) {
  const trailers: string[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const next = lineEnd + 2;
    if (lineEnd === at) return { value: { body: Buffer.concat(chunks), chunks, trailers }, next };
    trailers.push(bytes.toString('latin1', at, lineEnd));
    at = next;
  }
}

// proxy_store: an answer is written into a temporary file while it goes to the client, and becomes a file once it is whole.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_store

import type { Exchange } from '../exchange/exchange.ts';
import type { TempFolder } from '../exchange/kept-body.ts';
import { parseHttpDate } from '../http1/http-date.ts';
import { answerSafely } from './answer.ts';
import { placeFile } from './place-file.ts';
import { TempFile, type TempFileError } from './temp-file.ts';

export interface StoreSettings {
  /** proxy_temp_path. */
  readonly folder: TempFolder;
  /** proxy_temp_file_write_size: so many bytes are written at once. */
  readonly writeSize: number;
  /** Where the file is to be, a byte string; '' and undefined: nowhere. */
  readonly path: (exchange: Exchange) => string | undefined;
  /** proxy_store_access: the rights of the file. Folders are entered by whoever may read. */
  readonly access: number;
}

export interface StoreOwner {
  /** No more can be taken: the peer has to wait. */
  storeFull(): void;
  storeHasRoom(): void;
  /** The file is in its place, or there will be none. */
  storeDone(): void;
}

export class AnswerStore {
  readonly #exchange: Exchange;
  readonly #settings: StoreSettings;
  readonly #owner: StoreOwner;
  readonly #file: TempFile;
  /** What waits to be written. */
  #pieces: Buffer[] = [];
  #held = 0;
  #writing = false;
  #full = false;
  #ended = false;
  /** The file is whole, and on its way to its place. */
  #placing = false;
  #closed = false;

  constructor(exchange: Exchange, settings: StoreSettings, owner: StoreOwner) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#owner = owner;
    this.#file = new TempFile(settings.folder, 'until-closed');
  }

  take(bytes: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.#held += end - start;
    this.#write();
    if (this.#full || this.#held < 2 * this.#settings.writeSize) return;
    this.#full = true;
    this.#owner.storeFull();
  }

  /** The answer is whole. */
  end(): void {
    this.#ended = true;
    if (!this.#closed) this.#goOn();
  }

  /** The answer will not be whole, or nobody waits for the file: what is on its way to its place gets there. Safe to call twice. */
  close(): void {
    this.#closed = true;
    this.#pieces = [];
    this.#held = 0;
    if (!this.#placing) this.#file.close();
  }

  #goOn(): void {
    if (this.#writing) return;
    // An empty answer is an empty file.
    if (this.#ended && this.#held === 0 && this.#file.path !== '') this.#place();
    else this.#write();
  }

  #write(): void {
    if (this.#writing || (this.#held < this.#settings.writeSize && !this.#ended)) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#held = 0;
    this.#writing = true;
    this.#file.append(pieces, (error) => answerSafely(this.#exchange, () => this.#written(error)));
  }

  #written(error: TempFileError | undefined): void {
    this.#writing = false;
    if (this.#closed) return;
    if (error !== undefined) {
      this.#tell(error);
      this.close();
      this.#release();
      this.#owner.storeDone();
      return;
    }
    this.#goOn();
    if (this.#held < this.#settings.writeSize) this.#release();
  }

  /** The peer need not wait for us any more. */
  #release(): void {
    if (!this.#full) return;
    this.#full = false;
    if (!this.#ended) this.#owner.storeHasRoom();
  }

  #place(): void {
    this.#placing = true;
    const to = this.#settings.path(this.#exchange);
    const placed = to === undefined || to === '' ? Promise.resolve() : this.#moveTo(to);
    void placed.then(() => {
      this.#file.close();
      if (!this.#closed) answerSafely(this.#exchange, () => this.#owner.storeDone());
    });
  }

  async #moveTo(to: string): Promise<void> {
    const said = this.#exchange.upstreamHead?.headers.get('last-modified');
    const modified = said === undefined ? undefined : parseHttpDate(said);
    try {
      const how = await placeFile(this.#file.path, to, this.#settings.access, modified);
      if (how === 'renamed') this.#file.leaveName();
    } catch (error) {
      this.#tell(error as Error);
    }
  }

  #tell(error: Error): void {
    this.#exchange.log('crit', `${error.message} while reading upstream`);
  }
}

// The first messages of a client, kept to be sent once more to the next peer: `websocket_resume_replay`.

export interface FirstMessagesSettings {
  /** So many messages are kept. */
  readonly count: number;
  /** Bytes that they may have together, as they are on the wire. */
  readonly size: number;
}

const NOTHING = Buffer.alloc(0);

export class FirstMessages {
  readonly #settings: FirstMessagesSettings;
  #chunks: Buffer[] = [];
  #length = 0;
  /** So much of it is whole messages. */
  #whole = 0;
  #isOpen = true;
  #tooLong = false;

  constructor(settings: FirstMessagesSettings) {
    this.#settings = settings;
  }

  /** Not all of them have come yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** They were longer than they may be: nothing is kept, and a peer that needs them cannot be given them. */
  get tooLong(): boolean {
    return this.#tooLong;
  }

  /** What the client has sent, control frames between fragments included. The bytes are lent for the call only. */
  take(bytes: Buffer, start: number, end: number): void {
    if (!this.#isOpen) return;
    this.#length += end - start;
    if (this.#length > this.#settings.size) this.#giveUp();
    else this.#chunks.push(Buffer.from(bytes.subarray(start, end)));
  }

  #giveUp(): void {
    this.#tooLong = true;
    this.#isOpen = false;
    this.#chunks = [];
    this.#whole = 0;
  }

  /** What has been taken so far ends a message. @param messages how many the client has sent */
  messageEnded(messages: number): void {
    if (!this.#isOpen) return;
    this.#whole = this.#length;
    if (messages >= this.#settings.count) this.#isOpen = false;
  }

  /** The message that is under way is not wanted any more. */
  cut(): void {
    if (!this.#isOpen) return;
    this.#chunks = [this.bytes];
    this.#length = this.#whole;
  }

  /** The whole messages, as they came. */
  get bytes(): Buffer {
    return this.#whole === 0 ? NOTHING : Buffer.concat(this.#chunks).subarray(0, this.#whole);
  }
}

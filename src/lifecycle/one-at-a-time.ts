// Does a piece of work once at a time: asked for while it runs, it runs once more, however often it was asked for.

export class OneAtATime {
  readonly #work: () => Promise<void>;
  #running = false;
  #again = false;

  /** @param work must not reject */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  request(): void {
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    do {
      this.#again = false;
      await this.#work();
    } while (this.#again);
    this.#running = false;
  }
}

// auth_delay: a refusal that asks for a password is held back, so that passwords cannot be tried quickly.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#auth_delay

import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';

/** Answers with a status after the `auth_delay` of the exchange's location. */
export function refuseLater(exchange: Exchange, status: number): void {
  exchange.log('info', 'delaying unauthorized request');
  new HeldRefusal(exchange, status).start(exchange.location.authDelay);
}

class HeldRefusal implements ClientWatcher, DeadlineOwner {
  readonly #exchange: Exchange;
  readonly #status: number;
  readonly #deadline = new Deadline(this);

  constructor(exchange: Exchange, status: number) {
    this.#exchange = exchange;
    this.#status = status;
  }

  start(ms: number): void {
    this.#exchange.watcher = this;
    this.#deadline.set(ms);
  }

  deadlineReached(): void {
    this.#exchange.watcher = undefined;
    this.#exchange.fail(this.#status);
  }

  clientGone(): void {
    this.#deadline.clear();
  }

  clientDrain(): void {}
  clientBlocked(): void {}
  /** It may still listen. */
  clientEnded(): void {}
}

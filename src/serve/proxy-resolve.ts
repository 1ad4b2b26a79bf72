// A proxy_pass whose variables made up a host name: its addresses are found out before anybody is dialled.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass

import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { PENDING, type Verdict } from '../exchange/verdict.ts';
import { reasonOf } from '../resolver/resolve-error.ts';
import type { NameAnswer, Waiting } from '../resolver/resolver.ts';
import { answerSafely } from './answer.ts';
import type { ProxyTarget, UnresolvedTarget } from './proxy-settings.ts';

/**
 * @param target what the variables made up; a sentence for the error log where that is nothing
 * @param go passes the exchange on, once it is known where to
 */
export function passToMadeUp(
  exchange: Exchange,
  target: ProxyTarget | UnresolvedTarget | string,
  ignoresClientAbort: boolean,
  go: (target: ProxyTarget) => Verdict,
): Verdict {
  if (typeof target === 'string') {
    exchange.log('error', target);
    return 502;
  }
  if ('upstream' in target) return go(target);
  return new TargetQuestion(exchange, target, ignoresClientAbort, go).ask();
}

class TargetQuestion implements ClientWatcher {
  readonly #exchange: Exchange;
  readonly #target: UnresolvedTarget;
  readonly #ignoresClientAbort: boolean;
  readonly #go: (target: ProxyTarget) => Verdict;
  #waiting: Waiting | undefined = undefined;

  constructor(
    exchange: Exchange,
    target: UnresolvedTarget,
    ignoresClientAbort: boolean,
    go: (target: ProxyTarget) => Verdict,
  ) {
    this.#exchange = exchange;
    this.#target = target;
    this.#ignoresClientAbort = ignoresClientAbort;
    this.#go = go;
  }

  ask(): Verdict {
    const { location } = this.#exchange;
    const { name } = this.#target;
    if (location.resolution === undefined) {
      this.#exchange.log('error', `no resolver defined to resolve ${name}`);
      return 502;
    }
    const { resolver, timeout } = location.resolution;
    const answer = resolver.resolveName(name, timeout, (later) => this.#told(later));
    if ('code' in answer) return this.#act(answer);
    this.#waiting = answer;
    this.#exchange.watcher = this;
    return PENDING;
  }

  clientDrain(): void {}
  clientBlocked(): void {}

  clientEnded(): void {
    if (this.#ignoresClientAbort) return;
    this.clientGone();
    this.#exchange.status = 499;
    this.#exchange.cutShort();
  }

  clientGone(): void {
    this.#exchange.log('info', 'client prematurely closed connection');
    this.#waiting?.cancel();
  }

  #told(answer: NameAnswer): void {
    const exchange = this.#exchange;
    exchange.watcher = undefined;
    answerSafely(exchange, () => exchange.resume(this.#act(answer)));
  }

  #act({ code, addresses }: NameAnswer): Verdict {
    if (code === 0) return this.#go(this.#target.targetOf(addresses));
    this.#exchange.log('error', `${this.#target.name} could not be resolved (${reasonOf(code)})`);
    return 502;
  }
}

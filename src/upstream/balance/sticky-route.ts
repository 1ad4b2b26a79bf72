// nginx's `sticky route`: the peers hand out their `route`, in a cookie or in URIs of their own; we set nothing.

import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Selection, Stickiness } from './balancer.ts';
import { firstText } from './first-text.ts';

export interface StickyRouteSettings {
  readonly kind: 'route';
  /** Where a request's route may stand; the first that is not empty counts. */
  readonly lookups: readonly Text[];
}

export class StickyRoute implements Stickiness {
  readonly #lookups: readonly Text[];

  constructor(settings: StickyRouteSettings) {
    this.#lookups = settings.lookups;
  }

  begin(selection: Selection, exchange: Exchange): void {
    selection.hint = firstText(this.#lookups, exchange);
  }

  cookie(): undefined {}
  answered(): void {}
  finished(): void {}
}

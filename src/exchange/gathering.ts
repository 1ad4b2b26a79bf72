// Gathers what is sent in one turn of the event loop, so that a head and the beginning of its body leave as one segment.

import { reportOwnerFault } from '../transport/owner-fault.ts';
import type { ClientLink } from './client-link.ts';

interface Gatherer {
  readonly link: ClientLink;
  release(): void;
}

/** Who gathers in this turn of the event loop. One microtask serves all of them: none is made for each. */
const gatherers: Gatherer[] = [];

/** `release` is called at the end of this turn of the event loop. */
export function gatherUntilTurnEnds(gatherer: Gatherer): void {
  if (gatherers.push(gatherer) === 1) queueMicrotask(endGathering);
}

/** A fault in one of them costs it its connection; the others must not be left waiting for ever. */
function endGathering(): void {
  for (let i = 0; i < gatherers.length; i++) {
    const gatherer = gatherers[i] as Gatherer;
    try {
      gatherer.release();
    } catch (fault) {
      gatherer.link.channel.destroy(reportOwnerFault(fault));
    }
  }
  gatherers.length = 0;
}

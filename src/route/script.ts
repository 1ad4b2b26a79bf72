// What the rewrite phase runs: the lines of a server or a location, one after the other, until one of them ends it.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html

import type { Exchange } from '../exchange/exchange.ts';
import type { LocationSettings, Text } from '../exchange/settings.ts';
import { DECLINED, type Verdict } from '../exchange/verdict.ts';
import { escapeUri } from './uri.ts';

/** The next step; any other outcome is the phase's verdict and ends the script. */
export const NEXT_STEP = -100;

/** What the steps of one run know of each other. */
export interface ScriptRun {
  /** Until a `rewrite` has matched, nginx escapes what captures give to `set` and `if`. */
  escapes: boolean;
}

export type Step = (exchange: Exchange, run: ScriptRun) => Verdict;

/** A text of the script: between the constant texts captures by number, and variables. */
export type ScriptText = readonly (string | number | Text)[];

export function runScript(exchange: Exchange, steps: readonly Step[]): Verdict {
  const outcome = runSteps(exchange, { escapes: true }, steps);
  return outcome === NEXT_STEP ? DECLINED : outcome;
}

function runSteps(exchange: Exchange, run: ScriptRun, steps: readonly Step[]): Verdict {
  for (const step of steps) {
    const outcome = step(exchange, run);
    if (outcome !== NEXT_STEP) return outcome;
  }
  return NEXT_STEP;
}

/**
 * `if`: where the condition holds, its own settings replace those of the location, and its lines are run.
 * @param overlay undefined in a server: there it only has lines
 */
export function when(
  condition: (exchange: Exchange, run: ScriptRun) => boolean,
  overlay: LocationSettings | undefined,
  steps: readonly Step[],
): Step {
  return (exchange, run) => {
    if (!condition(exchange, run)) return NEXT_STEP;
    if (overlay !== undefined) exchange.location = overlay;
    return runSteps(exchange, run, steps);
  };
}

/** `break`: ends the script, and with it the search for another location. */
export const stop: Step = (exchange) => {
  if (exchange.uriChanged) exchange.uriLeftLocation = true;
  exchange.uriChanged = false;
  return DECLINED;
};

/** Fills a text in. @param escapes captures are escaped as arguments are, where the client has escaped anything */
export function fill(text: ScriptText, exchange: Exchange, escapes: boolean): string {
  let filled = '';
  for (const part of text) {
    if (typeof part === 'string') filled += part;
    else if (typeof part === 'function') filled += part(exchange);
    else filled += capture(exchange, part, escapes);
  }
  return filled;
}

function capture(exchange: Exchange, index: number, escapes: boolean): string {
  const captured = exchange.captures?.[index] ?? '';
  return escapes && uriIsQuoted(exchange) ? escapeUri(captured, 'argument') : captured;
}

/** The client has sent its path with `%` or `+` in it. */
function uriIsQuoted({ head }: Exchange): boolean {
  return /^[^?#]*[%+]/.test(head.target);
}

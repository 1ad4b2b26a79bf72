// A server's draft, once all modules have filled it, to the settings that requests meet: bound, joined and frozen.

import type { Handler, LocationSettings, ServerSettings } from '../exchange/exchange.ts';
import { compileLocations, duplicateLocations, type LocationNode, unreachableLocations } from '../route/locations.ts';
import { isOpeningHandshake } from '../serve/proxy-handshake.ts';
import type { LocationDraft, ServerDraft } from './draft.ts';
import type { LocationPattern } from './location-pattern.ts';

export function finishServer(server: ServerDraft): ServerSettings {
  const nodes = server.outside.children.map(finishLocation);
  checkLocations(server, nodes);
  return Object.freeze(
    Object.assign(server.settings, {
      locations: compileLocations(nodes, isOpeningHandshake),
      outside: finishSettings(server.outside),
      postRead: Object.freeze(server.postRead),
      rewrite: Object.freeze(server.rewrite),
    }),
  );
}

function checkLocations({ workshop, outside }: ServerDraft, nodes: readonly LocationNode[]): void {
  for (const { match, settings } of duplicateLocations(nodes)) {
    const text = match.kind === 'regex' ? settings.name : match.text;
    workshop.error(`duplicate location "${text}"`, placeOf(outside, settings));
  }
  // Of one that must not stand where it stands, that has been told.
  for (const { settings } of workshop.problems.failed ? [] : unreachableLocations(nodes)) {
    const mend = 'inside a location with a regular expression only such locations are looked for';
    workshop.warn(`location "${settings.name}" is never found`, placeOf(outside, settings), mend);
  }
}

function placeOf(within: LocationDraft, settings: LocationSettings): LocationDraft['at'] | undefined {
  for (const child of within.children) {
    const found = child.settings === settings ? child.at : placeOf(child, settings);
    if (found !== undefined) return found;
  }
  return undefined;
}

function finishLocation(draft: LocationDraft): LocationNode {
  return {
    match: matchOf(draft.pattern as LocationPattern),
    settings: finishSettings(draft),
    nested: draft.children.map(finishLocation),
  };
}

function matchOf({ kind, text, stopsRegex, regexp }: LocationPattern): LocationNode['match'] {
  if (kind === 'regex') return { kind, pattern: regexp as RegExp };
  return kind === 'prefix' ? { kind, text, stopsRegex } : { kind, text };
}

/** An overlay without a handler of its own keeps that of its location, as nginx does. */
function contentHandlerOf({ contentHandler, overlay, parent }: LocationDraft): Handler | undefined {
  return contentHandler ?? (overlay === undefined ? undefined : parent?.contentHandler);
}

function finishSettings(draft: LocationDraft): LocationSettings {
  for (const overlay of draft.overlays.values()) finishSettings(overlay);
  const { settings } = draft;
  const contentHandler = contentHandlerOf(draft);
  const content: readonly Handler[] = contentHandler === undefined ? draft.content : [contentHandler];
  return Object.freeze(
    Object.assign(settings, {
      rewrite: Object.freeze(draft.rewrite),
      preaccess: Object.freeze(draft.preaccess),
      access: Object.freeze(draft.access),
      precontent: Object.freeze(draft.precontent),
      content: Object.freeze(content),
      headerFilters: Object.freeze(draft.headerFilters),
      log: Object.freeze(draft.log),
    }),
  );
}

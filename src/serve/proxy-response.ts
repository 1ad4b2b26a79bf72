// The answer of a peer on its way to the client: which fields pass, and which end here.

import type { Exchange } from '../exchange/exchange.ts';
import { Headers } from '../http1/headers.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { listMembers } from '../websocket/token-list.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** Fields of the connection between the peer and us (RFC 9110 7.6.1); we frame the answer anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Copies the head of a peer's answer into the exchange's own, changed as the configuration says. */
export function takeAnswerHead(exchange: Exchange, head: ResponseHead, settings: ProxySettings): void {
  exchange.status = head.status;
  exchange.reason = head.reason;
  exchange.contentLength = head.contentLength;
  // What an X-Accel-Redirect left of its answer: a second Content-Type takes its place.
  if (exchange.answer.length > 0 && head.headers.has('content-type')) exchange.answer.remove('content-type');
  const from = exchange.answer.length;
  passFields(head, settings, exchange.answer);
  exchange.addsServer = settings.hideHeaders.has('server');
  // A date is added to an answer without one (RFC 9110 6.6.1).
  exchange.addsDate = !exchange.answer.has('date');
  for (const change of settings.changes) change(exchange, from);
  // Says what would be taken instead; we speak it as the peer does.
  const upgrade = head.status === 426 ? head.headers.getJoined('upgrade') : undefined;
  if (upgrade !== undefined) exchange.answer.add('Upgrade', upgrade);
}

/** The fields of a peer's interim answer (1xx) that the client may have. */
export function informationalFields(head: ResponseHead, settings: ProxySettings): Headers {
  const fields = new Headers();
  passFields(head, settings, fields);
  return fields;
}

function passFields(head: ResponseHead, settings: ProxySettings, to: Headers): void {
  const { headers } = head;
  const named = namedByConnection(head);
  for (let i = 0; i < headers.length; i++) {
    const lowerName = headers.lowerNameAt(i);
    if (HOP_BY_HOP.has(lowerName) || settings.hideHeaders.has(lowerName)) continue;
    if (named?.includes(lowerName)) continue;
    to.addFrom(headers, i);
  }
}

/** What the peer's `Connection` names, besides the usual; undefined for nothing. */
function namedByConnection(head: ResponseHead): readonly string[] | undefined {
  const value = head.headers.getJoined('connection');
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  return listMembers(value).map((member) => member.toLowerCase());
}

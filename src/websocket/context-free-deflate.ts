// permessage-deflate without context: each message is compressed by itself, so that its reader may be another one than before.

import { extensionName, listMembers } from './token-list.ts';

const DEFLATE = 'permessage-deflate';
const SERVER = 'server_no_context_takeover';
const CLIENT = 'client_no_context_takeover';

/**
 * What the peer is offered in place of a client's offers: each permessage-deflate asks the peer to forget its context behind every
 * message, and tells it that the client can do so (RFC 7692 section 7.1.1). Other extensions are offered as they are.
 * @param offers members of `Sec-WebSocket-Extensions`
 */
export function offerWithoutContext(offers: readonly string[]): string[] {
  return offers.map((offer) => (isDeflate(offer) ? withParameter(withParameter(offer, SERVER), CLIENT) : offer));
}

/**
 * What the client is told in place of a peer's answer: it forgets its context as well, asked for or not (section 7.1.1.2). A peer that
 * did not agree to that reads such messages all the same.
 * @param answer the peer's `Sec-WebSocket-Extensions`, lines joined
 * @returns the members to tell
 */
export function answerWithoutContext(answer: string | undefined): string[] {
  return listMembers(answer).map((agreed) => (isDeflate(agreed) ? withParameter(agreed, CLIENT) : agreed));
}

/**
 * Whether a client that was told this can go on with another peer: nothing was agreed on but permessage-deflate at most, and in that both
 * sides forget their contexts. What other extensions remember is not known to us.
 * @param told what `answerWithoutContext` returned
 */
export function outlivesPeer(told: readonly string[]): boolean {
  return told.every((agreed) => {
    const names = parameters(agreed).map(parameterName);
    return isDeflate(agreed) && names.includes(SERVER) && names.includes(CLIENT);
  });
}

/** Whether another peer agreed to the very same: extensions in their order, their parameters in any. Both from `answerWithoutContext`. */
export function agreesWith(told: readonly string[], answered: readonly string[]): boolean {
  return (
    told.length === answered.length && told.every((agreed, i) => canonical(agreed) === canonical(answered[i] ?? ''))
  );
}

const isDeflate = (member: string): boolean => extensionName(member) === DEFLATE;

function withParameter(member: string, name: string): string {
  return parameters(member).some((given) => parameterName(given) === name) ? member : `${member}; ${name}`;
}

/** No parameter of permessage-deflate has a semicolon in its value, quoted or not. */
function parameters(member: string): string[] {
  return member
    .split(';')
    .slice(1)
    .map((given) => given.trim());
}

function parameterName(parameter: string): string {
  return (parameter.split('=', 1)[0] as string).trimEnd().toLowerCase();
}

/** A value may stand in quotes or not (RFC 6455 section 9.1): that makes no difference. */
function canonical(member: string): string {
  const given = parameters(member).map((one) => {
    const value = one.includes('=') ? one.slice(one.indexOf('=') + 1).trim() : undefined;
    return value === undefined ? parameterName(one) : `${parameterName(one)}=${value.replace(/^"(.*)"$/, '$1')}`;
  });
  return [extensionName(member), ...given.sort()].join(';');
}

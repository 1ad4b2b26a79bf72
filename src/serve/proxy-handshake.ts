// The request side of an upgrade: which requests are passed to a peer as opening handshakes, and what of them.

import type { Exchange } from '../exchange/exchange.ts';
import { noteRefusal } from '../exchange/handshake-refusal.ts';
import { offerWithoutContext } from '../websocket/context-free-deflate.ts';
import {
  type AcceptedHandshake,
  checkOpeningHandshake,
  type RefusedHandshake,
  wantsWebSocket,
} from '../websocket/handshake.ts';
import { extensionName, hasToken, listMembers } from '../websocket/token-list.ts';
import { methodFor, type PassedHandshake, upgradeToSend } from './proxy-request.ts';
import type { ProxySettings } from './proxy-settings.ts';

/**
 * Judges what a client asks before anyone is dialled.
 * @returns what the peer is asked; the status to refuse the request with; undefined: it is a plain request, or for another protocol
 */
export function takeHandshake(exchange: Exchange, settings: ProxySettings): PassedHandshake | number | undefined {
  const { upgrade } = exchange.location.websocket;
  if (exchange.head.upgrade === '' && upgrade !== 'on') return undefined;
  // What we ask ourselves (auth_request) is never a handshake.
  if (exchange.parent !== undefined) return undefined;
  if (hasToken(exchange.head.upgrade, 'websocket')) return judge(exchange, settings);
  return upgrade === 'on' ? refuse(exchange, NOT_ONE) : undefined;
}

/** For whoever would redirect it: clients follow no redirect of a handshake. */
export function isOpeningHandshake(exchange: Exchange): boolean {
  return exchange.head.upgrade !== '' && check(exchange).ok;
}

const NOT_ONE: RefusedHandshake = wantsWebSocket('there is no "Upgrade: websocket"');

function check({ head }: Exchange): AcceptedHandshake | RefusedHandshake {
  return checkOpeningHandshake({
    method: head.method,
    httpVersion: head.version,
    headers: (lowerName) => head.headers.getJoined(lowerName),
    hasBody: head.hasBody,
  });
}

function judge(exchange: Exchange, settings: ProxySettings): PassedHandshake | number | undefined {
  const { upgrade } = exchange.location.websocket;
  const byLines = settings.setNames.has('upgrade');
  if (upgrade === 'off' && !byLines) return undefined;
  const checked = check(exchange);
  if (checked.ok) return pass(exchange, settings, checked);
  if (upgrade === 'on' || byLines) return refuse(exchange, checked);
  exchange.log(
    'info',
    `client sent invalid WebSocket handshake, which is passed on as a plain request: ${checked.reason}`,
  );
  return undefined;
}

function refuse(exchange: Exchange, { reason, headers, status }: RefusedHandshake): number {
  exchange.log('info', `client sent invalid WebSocket handshake: ${reason}`);
  for (const [name, value] of headers) exchange.answer.add(name, value);
  return status;
}

function pass(
  exchange: Exchange,
  settings: ProxySettings,
  asked: AcceptedHandshake,
): PassedHandshake | number | undefined {
  const { websocket } = exchange.location;
  const isOurs = websocket.upgrade !== 'off' && staysHandshake(exchange, settings);
  if (!isOurs && upgradeToSend(exchange, settings).toLowerCase() !== 'websocket') return undefined;
  if (websocket.allowsOrigin?.(whereFrom(exchange)) === false) return refuseOrigin(exchange);
  const protocols = asked.protocols.filter((one) => websocket.subprotocols?.has(one) !== false);
  if (protocols.length === 0 && asked.protocols.length > 0) return refuseProtocols(exchange, asked.protocols);
  return new HandshakeWriter(exchange, settings, protocols).write(isOurs ? asked.key : undefined);
}

/** Neither does the configuration make another request of it, nor would its answer be the page of an error. */
function staysHandshake(exchange: Exchange, settings: ProxySettings): boolean {
  return exchange.errorStatus === 0 && settings.body === undefined && methodFor(exchange, settings) === 'GET';
}

function whereFrom({ head, link }: Exchange) {
  const origin = head.headers.getJoined('origin');
  return { origin, host: head.host, port: head.port, secure: link.ends.tls !== undefined };
}

function refuseOrigin(exchange: Exchange): 403 {
  const origin = exchange.head.headers.getJoined('origin');
  const whose = origin === undefined ? 'it has no origin' : `origin "${origin.slice(0, LONGEST_SHOWN)}" is not allowed`;
  exchange.log('error', `cross-site WebSocket handshake forbidden: ${whose}`);
  noteRefusal(exchange, 'origin');
  return 403;
}

function refuseProtocols(exchange: Exchange, offered: readonly string[]): 400 {
  const shown = offered.join(', ').slice(0, LONGEST_SHOWN);
  exchange.log('error', `none of the subprotocols that the client offers is allowed: "${shown}"`);
  noteRefusal(exchange, 'subprotocol');
  return 400;
}

/** Of what a client sent, so much is shown in the log. */
const LONGEST_SHOWN = 200;

/** Writes the fields of a handshake that neither the client's nor the configuration's own lines are left to. */
class HandshakeWriter {
  readonly #exchange: Exchange;
  readonly #settings: ProxySettings;
  readonly #protocols: readonly string[];
  readonly #extensions: readonly string[];
  #fields = '';
  readonly #names = new Set<string>();

  constructor(exchange: Exchange, settings: ProxySettings, protocols: readonly string[]) {
    const { extensions, resume } = exchange.location.websocket;
    const offered = listMembers(exchange.head.headers.getJoined('sec-websocket-extensions'));
    this.#exchange = exchange;
    this.#settings = settings;
    this.#protocols = protocols;
    const allowed = offered.filter((one) => extensions?.has(extensionName(one)) !== false);
    this.#extensions = resume === undefined ? allowed : offerWithoutContext(allowed);
  }

  /** @param key where the handshake is written by us; undefined: by the lines of the configuration */
  write(key: string | undefined): PassedHandshake {
    const { subprotocols, extensions, resume } = this.#exchange.location.websocket;
    if (key !== undefined) this.#addUpgrade(key);
    const passesNone = key !== undefined && !this.#settings.passRequestHeaders;
    const isChosen = extensions !== undefined || resume !== undefined;
    this.#addOffer('Sec-WebSocket-Protocol', this.#protocols, subprotocols !== undefined, passesNone);
    this.#addOffer('Sec-WebSocket-Extensions', this.#extensions, isChosen, passesNone);
    return {
      isOurs: key !== undefined,
      fields: this.#fields,
      names: this.#names,
      protocols: this.#protocols,
      extensions: this.#extensions.map(extensionName),
    };
  }

  #addUpgrade(key: string): void {
    this.#add('Upgrade', 'websocket');
    this.#add('Connection', 'upgrade');
    this.#add('Sec-WebSocket-Version', '13');
    this.#add('Sec-WebSocket-Key', key);
  }

  /** Where nothing is said of it, the client's own line goes as it is; one of `proxy_set_header` goes before that. */
  #addOffer(name: string, offered: readonly string[], isChosen: boolean, passesNone: boolean): void {
    const isSet = this.#settings.setNames.has(name.toLowerCase());
    if (isChosen || (passesNone && !isSet)) this.#add(name, offered.join(', '));
  }

  #add(name: string, value: string): void {
    this.#names.add(name.toLowerCase());
    if (value !== '') this.#fields += `${name}: ${value}\r\n`;
  }
}

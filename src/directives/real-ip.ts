// realip: the client is whom a trusted proxy says that it acts for.
// https://nginx.org/en/docs/http/ngx_http_realip_module.html

import { type Network, Networks, parseNetwork } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import { lowerCase } from '../config/source.ts';
import type { Position } from '../config/tree.ts';
import { flag, text, word } from '../config/values.ts';
import type { Exchange, Handler } from '../exchange/exchange.ts';
import { DECLINED } from '../exchange/verdict.ts';
import type { Level, ServerDraft, Workshop } from './draft.ts';
import { type ForwardedAddress, forwardedAddress, valuesOf } from './forwarded-address.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location'] as const;

/** Where the three directives stand that are in force for a server: a location that has the same has nothing to add. */
const placesOfServer = new WeakMap<ServerDraft, readonly (Position | undefined)[]>();

export const realIp = nginxModule('http_realip', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_realip_module.html',
  directives: directives({
    set_real_ip_from: {
      in: EVERYWHERE,
      args: [word('address | CIDR | unix:')],
      many: true,
      doc: 'Trusts this proxy: an address, a network, a host name (all of its addresses), or `unix:` for whoever comes over a unix socket.',
    },
    real_ip_header: {
      in: EVERYWHERE,
      args: [text('field | X-Real-IP | X-Forwarded-For | proxy_protocol')],
      default: 'X-Real-IP',
      doc: 'Where a trusted proxy says whom it acts for: a field of the request, or the PROXY protocol.',
    },
    real_ip_recursive: {
      in: EVERYWHERE,
      args: [flag],
      default: 'off',
      doc: 'Passes over addresses that are trusted themselves: the client is the last one that is not. Off: the last one, whatever it is.',
    },
  }),
  variables: {
    realip_remote_addr: ({ link }) => link.ends.clientAddress,
    realip_remote_port: ({ link }) => (link.ends.clientPort === 0 ? '' : `${link.ends.clientPort}`),
  },
  http(set, { workshop }, level) {
    networksOf(set.set_real_ip_from, workshop, level);
  },
  location(set, { server, pattern, preaccess, workshop }, level) {
    const places = [level.at('set_real_ip_from'), level.at('real_ip_header'), level.at('real_ip_recursive')];
    if (pattern === undefined) placesOfServer.set(server, places);
    else if (placesOfServer.get(server)?.every((at, index) => at === places[index])) return;
    if (set.set_real_ip_from.length === 0) return;
    const trusted = networksOf(set.set_real_ip_from, workshop, level);
    const said = saidBy(set.real_ip_header, trusted, set.real_ip_recursive);
    (pattern === undefined ? server.postRead : preaccess).push(actingFor(said));
  },
});

type Said = (exchange: Exchange) => ForwardedAddress | undefined;

const DONE_ALREADY = Symbol('the client of this exchange has been told');

/** Once for an exchange, also where it is redirected to another location. */
function actingFor(said: Said): Handler {
  return (exchange) => {
    if (exchange.note(DONE_ALREADY) !== undefined) return DECLINED;
    const client = said(exchange);
    if (client === undefined) return DECLINED;
    exchange.setNote(DONE_ALREADY, true);
    exchange.link.actFor(client.address, client.port);
    return DECLINED;
  };
}

function saidBy(source: string, trusted: Networks, recursive: boolean): Said {
  if (source === 'proxy_protocol') return saidByProxyHeader(trusted, recursive);
  const field = lowerCase(source);
  const isList = source === 'X-Forwarded-For';
  return ({ head, link }) => {
    const values = isList ? valuesOf(head.headers, field) : firstOf(head.headers.get(field));
    return forwardedAddress(link.ends.clientAddress, values, trusted, recursive);
  };
}

const firstOf = (value: string | undefined): readonly string[] => (value === undefined ? NONE : [value]);

const NONE: readonly string[] = [];

function saidByProxyHeader(trusted: Networks, recursive: boolean): Said {
  return ({ link }) => {
    const { clientAddress, proxyHeader } = link.ends;
    if (proxyHeader === undefined) return undefined;
    const found = forwardedAddress(clientAddress, [proxyHeader.sourceAddress], trusted, recursive);
    return found && { address: found.address, port: proxyHeader.sourcePort };
  };
}

/** What the lines of a level trust; made once, for the level where they stand, whoever takes it from there. */
const read = new WeakMap<object, Networks>();

function networksOf(texts: readonly string[], workshop: Workshop, level: Level): Networks {
  const known = read.get(texts);
  if (known !== undefined) return known;
  const places = level.places('set_real_ip_from');
  const networks = texts.flatMap((given, index) => networksIn(given, workshop, places[index]));
  const made = new Networks(networks, texts.includes('unix:'));
  read.set(texts, made);
  return made;
}

function networksIn(given: string, workshop: Workshop, at: Position | undefined): readonly Network[] {
  if (given === 'unix:') return [];
  const network = parseNetwork(given);
  if (network?.hadLowBits) workshop.warn(`low address bits of ${given} are meaningless`, at);
  if (network !== undefined) return [network];
  const found = workshop.lookUp(given);
  if (found?.length === 0) workshop.error(`host not found in set_real_ip_from "${given}"`, at);
  return (found ?? []).flatMap((address) => parseNetwork(address) ?? []);
}

// The arguments of proxy_bind: the local address that peers are connected from.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_bind

import { type Address, AddressError, parseAddress } from '../addresses.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import { argument, optional, template } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { LocalAddress } from '../upstream/local-address.ts';
import type { Workshop } from './draft.ts';

const how = argument('how', 'transparent', (given) => {
  if (given !== 'transparent') throw new ConfigError(`invalid parameter "${given}"`);
  const mend = 'Node cannot set the option of the socket that it needs';
  throw new ConfigError('"proxy_bind" with "transparent" is not supported', undefined, { mend });
});

export const fromKind = [template('address'), optional(how)] as const;

interface WrittenBind {
  readonly address: Template;
  readonly at: Position;
}

/** @throws ConfigError for an address that is none */
export function fromAddress(
  written: WrittenBind | undefined,
  workshop: Workshop,
): ((exchange: Exchange) => LocalAddress | undefined) | undefined {
  if (written === undefined || written.address.constant === 'off') return undefined;
  const { address } = written;
  if (address.constant === undefined) return madeUpAddress(workshop.text(address));
  const fixed = localAddress(address.constant);
  if (fixed === undefined) throw new ConfigError(`invalid address "${address.constant}"`, address.at);
  return () => fixed;
}

/** What is no address is told, and the connection is made from wherever the system likes, as nginx does. */
function madeUpAddress(text: (exchange: Exchange) => string): (exchange: Exchange) => LocalAddress | undefined {
  return (exchange) => {
    const said = text(exchange);
    const address = said === '' ? undefined : localAddress(said);
    if (said !== '' && address === undefined) exchange.log('error', `invalid local address "${said}"`);
    return address;
  };
}

function localAddress(text: string): LocalAddress | undefined {
  const bare = text.includes(':') && !text.startsWith('[') && text.split(':').length > 2 ? `[${text}]` : text;
  const address = readAddress(bare);
  if (address === undefined || (address.family !== 'ipv4' && address.family !== 'ipv6')) return undefined;
  return { host: address.host, port: address.port, text };
}

function readAddress(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

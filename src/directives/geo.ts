// geo: a variable made from an address.
// https://nginx.org/en/docs/http/ngx_http_geo_module.html

import { addressBytes, type Network, Networks, parseNetwork, plainAddressBytes } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Block, Directive, Position } from '../config/tree.ts';
import { optional, variableName } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';
import { forwardedAddress, valuesOf } from './forwarded-address.ts';
import { nginxModule } from './module.ts';
import { NetworkTable } from './network-table.ts';
import { RangeOverlap, RangeTable } from './range-table.ts';

export const geo = nginxModule('http_geo', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_geo_module.html',
  directives: directives({
    geo: {
      in: ['http'],
      args: [variableName('address'), optional(variableName('variable'))],
      many: true,
      block: 'raw',
      doc: 'Defines a variable whose value is that of the network, or with `ranges` of the range, in which an address lies: the client’s, or that of a variable. `default`, `delete`, `include`, `proxy` and `proxy_recursive` (addresses from `X-Forwarded-For`), and `volatile` are as in nginx.',
      differs: 'A binary base beside an included file (`FILE.bin`) is neither read nor written.',
    },
  }),
  http(set, { workshop }) {
    for (const { address, variable, block, at } of set.geo) {
      workshop.problems.attempt(() => {
        const source = variable === undefined ? clientAddress : variableSource(address, at, workshop);
        const { get, volatile } = new GeoReader(workshop).read(source, block);
        workshop.variables.define(variable ?? address, get, { at, cached: true, volatile, changeable: true });
      });
    }
  },
});

type Source = (exchange: Exchange) => string | undefined;

const clientAddress: Source = ({ link }) => link.clientAddress;

function variableSource(name: string, at: Position, { variables }: Workshop): Source {
  const slot = variables.slot(name, at);
  return (exchange) => slot.get(exchange);
}

/** What stands for whatever is no address, nginx's INADDR_NONE: unix sockets, values that cannot be read. */
const NO_ADDRESS = Uint8Array.of(255, 255, 255, 255);

/** Reads the lines of one geo; each mistake is told, and the other lines are read all the same. */
class GeoReader {
  readonly #workshop: Workshop;
  readonly #networks = new NetworkTable();
  readonly #rangeTable = new RangeTable();
  readonly #proxies: Network[] = [];
  #default: string | undefined = undefined;
  #ranges = false;
  #recursive = false;
  #volatile = false;
  /** Lines of networks have been read. */
  #begun = false;

  constructor(workshop: Workshop) {
    this.#workshop = workshop;
  }

  read(source: Source, block: Block): { get: (exchange: Exchange) => string; volatile: boolean } {
    for (const line of block.directives) this.#workshop.problems.attempt(() => this.#line(line));
    return { get: this.#lookup(source), volatile: this.#volatile };
  }

  #line({ name, args, at }: Directive): void {
    const [only, second] = args;
    if (only === undefined && this.#word(name, at)) return;
    if (only === undefined || second !== undefined) throw new ConfigError('invalid number of the geo parameters', at);
    if (name === 'proxy') this.#proxies.push(this.#network(only.text, at));
    else if (name === 'default') this.#setDefault(byteString(only.text), at);
    else if (this.#ranges) this.#range(name, only.text, at);
    else this.#cidr(name, only.text, at);
  }

  /** @returns false where it is none of those that stand alone */
  #word(name: string, at: Position): boolean {
    if (name === 'ranges') this.#setRanges(at);
    else if (name === 'proxy_recursive') this.#recursive = true;
    else if (name === 'volatile') this.#volatile = true;
    else return false;
    return true;
  }

  #setRanges(at: Position): void {
    if (this.#begun) throw new ConfigError('the "ranges" directive must be the first directive inside "geo" block', at);
    this.#ranges = true;
  }

  #setDefault(value: string, at: Position): void {
    const what = this.#ranges ? 'default geo range value:' : 'network "default", value:';
    if (this.#default !== undefined)
      this.#workshop.warn(`duplicate ${what} "${value}", old value: "${this.#default}"`, at);
    this.#begun = !this.#ranges;
    this.#default = value;
  }

  #cidr(name: string, text: string, at: Position): void {
    this.#begun = true;
    const isDeletion = name === 'delete';
    const written = isDeletion ? text : name;
    const network = this.#network(written, at);
    const value = byteString(text);
    if (isDeletion) {
      if (!this.#networks.delete(network)) this.#workshop.warn(`no network "${written}" to delete`, at);
      return;
    }
    const before = this.#networks.set(network, value);
    if (before !== undefined)
      this.#workshop.warn(`duplicate network "${written}", value: "${value}", old value: "${before}"`, at);
  }

  #network(text: string, at: Position): Network {
    const network = parseNetwork(text);
    if (network === undefined) throw new ConfigError(`invalid network "${text}"`, at);
    if (network.hadLowBits) this.#workshop.warn(`low address bits of ${text} are meaningless`, at);
    return network;
  }

  #range(name: string, text: string, at: Position): void {
    if (name !== 'delete') {
      this.#addRange(name, byteString(text), at);
      return;
    }
    const [start, end] = readRange(text, at);
    if (!this.#rangeTable.delete(start, end)) this.#workshop.warn(`no address range "${text}" to delete`, at);
  }

  #addRange(written: string, value: string, at: Position): void {
    const [start, end] = readRange(written, at);
    try {
      for (const before of this.#rangeTable.add(start, end, value))
        this.#workshop.warn(`duplicate range "${written}", value: "${value}", old value: "${before}"`, at);
    } catch (error) {
      if (!(error instanceof RangeOverlap)) throw error;
      throw new ConfigError(`range "${written}" ${error.message}`, at);
    }
  }

  #lookup(source: Source): (exchange: Exchange) => string {
    const find = this.#ranges ? this.#inRanges() : this.#inNetworks();
    const otherwise = this.#default ?? '';
    const address = this.#proxies.length === 0 ? source : this.#behindProxies(source);
    return (exchange) => find(plainAddressBytes(address(exchange) ?? '') ?? NO_ADDRESS) ?? otherwise;
  }

  #inNetworks(): (address: Uint8Array) => string | undefined {
    const networks = this.#networks;
    return (address) => networks.find(address);
  }

  #inRanges(): (address: Uint8Array) => string | undefined {
    const ranges = this.#rangeTable;
    return (address) => ranges.find(numberOf(address.length === 4 ? address : NO_ADDRESS));
  }

  #behindProxies(source: Source): Source {
    const proxies = new Networks(this.#proxies);
    const recursive = this.#recursive;
    return (exchange) => {
      const from = source(exchange);
      if (from === undefined) return undefined;
      const values = valuesOf(exchange.head.headers, 'x-forwarded-for');
      return forwardedAddress(from, values, proxies, recursive)?.address ?? from;
    };
  }
}

function numberOf(address: Uint8Array): number {
  return address.reduce((number, byte) => number * 256 + byte, 0);
}

function readRange(text: string, at: Position): readonly [number, number] {
  const dash = text.indexOf('-');
  const [first, last] = [addressBytes(text.slice(0, Math.max(dash, 0))), addressBytes(text.slice(dash + 1))];
  if (dash < 0 || first?.length !== 4 || last?.length !== 4) throw new ConfigError(`invalid range "${text}"`, at);
  const [start, end] = [numberOf(first), numberOf(last)];
  if (start > end) throw new ConfigError(`invalid range "${text}"`, at);
  return [start, end];
}

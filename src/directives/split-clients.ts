// split_clients: a variable that has one of several values, each for its share of all clients.
// https://nginx.org/en/docs/http/ngx_http_split_clients_module.html

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Block, Directive, Position } from '../config/tree.ts';
import { template, variableName } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { nginxModule } from './module.ts';
import { murmurHash2 } from './murmur-hash.ts';

export const splitClients = nginxModule('http_split_clients', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_split_clients_module.html',
  directives: directives({
    split_clients: {
      in: ['http'],
      args: [template('string'), variableName('variable')],
      many: true,
      block: 'raw',
      doc: 'Defines a variable that has one of several values: lines are `12.5% value`, the last one may be `* value` for the rest. Which one is decided by the hash of the string, so that the same string always has the same value.',
    },
  }),
  http(set, { workshop }) {
    for (const { string, variable, block, at } of set.split_clients) {
      workshop.problems.attempt(() => {
        const find = choosing(readShares(block));
        const key = workshop.text(string);
        const get = (exchange: Exchange): string => find(murmurHash2(key(exchange)));
        workshop.variables.define(variable, get, { at, cached: true, changeable: true });
      });
    }
  },
});

interface Share {
  /** Hundredths of a percent; 0: the rest. */
  readonly percent: number;
  readonly value: string;
}

/** What stands for 100 %. */
const ALL = 10_000;
const LARGEST_HASH = 0xffff_ffff;

function readShares({ directives: lines, end }: Block): readonly Share[] {
  const shares = lines.map(readShare);
  let sum = 0;
  return shares.map((share) => {
    sum = share.percent === 0 ? ALL : sum + share.percent;
    if (sum > ALL) throw new ConfigError('percent total is greater than 100%', end);
    // Whoever fills it up has what rounding would leave.
    return sum === ALL ? { ...share, percent: 0 } : share;
  });
}

function readShare({ name, args, at }: Directive): Share {
  const [value, more] = args;
  if (value === undefined || more !== undefined)
    throw new ConfigError('invalid number of the split_clients parameters', at);
  return { percent: name === '*' ? 0 : readPercent(name, at), value: byteString(value.text) };
}

const PERCENT = /^(?=\.?\d)(\d*)(?:\.(\d{0,2}))?%$/;

function readPercent(text: string, at: Position): number {
  const [, whole = '', part = ''] = PERCENT.exec(text) ?? [];
  const percent = Number(`${whole}${part.padEnd(2, '0')}`);
  if (percent === 0) throw new ConfigError(`invalid percent value "${text}"`, at);
  return percent;
}

/** The value of a hash: that of the first share which ends behind it. */
function choosing(shares: readonly Share[]): (hash: number) => string {
  let last = 0;
  const ends = shares.map(({ percent, value }) => {
    last += Math.floor((percent * LARGEST_HASH) / ALL);
    return { end: percent === 0 ? Number.POSITIVE_INFINITY : last, value };
  });
  return (hash) => ends.find(({ end }) => hash < end)?.value ?? '';
}

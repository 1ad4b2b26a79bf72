// access: who may come, by address.
// https://nginx.org/en/docs/http/ngx_http_access_module.html

import { isInNetwork, type Network, parseNetwork, plainAddressBytes } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Directive } from '../config/tree.ts';
import { argument } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { ALLOWED, DECLINED, type Verdict } from '../exchange/verdict.ts';
import type { HttpDraft, Level, LocationDraft } from './draft.ts';
import { nginxModule } from './module.ts';

/** Everybody, whoever comes over a unix socket, or a network. */
type Whom = 'all' | 'unix:' | Network;

interface Rule {
  readonly whom: Whom;
  readonly allows: boolean;
}

const whomKind = argument('address', 'address | CIDR | unix: | all', (text, { at }, _directive, warn): Whom => {
  if (text === 'all' || text === 'unix:') return text;
  const network = parseNetwork(text);
  if (network === undefined) throw new ConfigError(`invalid parameter "${text}"`);
  if (network.hadLowBits) warn(`low address bits of ${text} are meaningless`, at);
  return network;
});

const RULES = { in: ['http', 'server', 'location', 'limit_except'], args: [whomKind], many: true } as const;

const table = directives({
  allow: {
    ...RULES,
    doc: 'Lets these clients in. Of `allow` and `deny` the first that fits counts, in the order of the configuration.',
  },
  deny: { ...RULES, doc: 'Answers these clients with 403. A level that has neither has those of the level above.' },
});

export const access = nginxModule('http_access', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_access_module.html',
  directives: table,
  http(_set, http, level) {
    http.notes.set(RULES_OF_HTTP, ownRules(level));
  },
  location(_set, draft, level) {
    const own = ownRules(level);
    const rules = own.length > 0 ? own : rulesAbove(draft);
    rulesOf.set(draft, rules);
    if (rules.length > 0) draft.access.push((exchange) => judge(exchange, rules));
  },
});

const RULES_OF_HTTP = Symbol('the rules of http');
const rulesOf = new WeakMap<LocationDraft, readonly Rule[]>();

/** Both directives are taken from above together, or neither. */
function rulesAbove({ parent, server }: LocationDraft): readonly Rule[] {
  if (parent !== undefined) return rulesOf.get(parent) ?? [];
  return rulesOfHttp(server.http);
}

function rulesOfHttp({ notes }: HttpDraft): readonly Rule[] {
  return (notes.get(RULES_OF_HTTP) as readonly Rule[] | undefined) ?? [];
}

function ownRules({ block }: Level): readonly Rule[] {
  return block.directives
    .filter(({ declaredBy, value }) => value !== undefined && isRule(declaredBy))
    .map(({ name, value }) => ({ whom: value as Whom, allows: name === 'allow' }));
}

const isRule = (declaredBy: Directive['declaredBy']): boolean =>
  declaredBy === table.allow || declaredBy === table.deny;

function judge(exchange: Exchange, rules: readonly Rule[]): Verdict {
  const { clientAddress } = exchange.link;
  const bytes = plainAddressBytes(clientAddress);
  const isUnix = clientAddress.startsWith('unix:');
  const rule = rules.find(({ whom }) => {
    if (typeof whom === 'string') return whom === 'all' || isUnix;
    return bytes !== undefined && isInNetwork(whom, bytes);
  });
  if (rule === undefined) return DECLINED;
  if (rule.allows) return ALLOWED;
  if (!exchange.location.satisfyAny) exchange.log('error', 'access forbidden by rule');
  return 403;
}

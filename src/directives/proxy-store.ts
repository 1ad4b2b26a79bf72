// proxy_store, proxy_store_access: which answers of an upstream become files, and whose they are.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_store

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import { argument, optional, template } from '../config/values.ts';
import type { StoreSettings } from '../serve/answer-store.ts';
import { filePathOf, safePath } from '../serve/file-path.ts';
import type { Level, Workshop } from './draft.ts';
import { answerFolder, type SpoolSet, writeSizeOf } from './proxy-buffers.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

const place = argument('place', 'on | off | string', (text, given, directive, warn): 'on' | 'off' | Template => {
  if (text === '') throw new ConfigError('empty path');
  return text === 'on' || text === 'off' ? text : template('string').parse([given], directive, warn);
});

interface Rights {
  readonly who: string;
  /** Shifted to where they stand in a file's mode. */
  readonly bits: number;
}

const SHIFTS: Readonly<Record<string, number>> = { user: 6, group: 3, all: 0 };

const rights = <const Name extends string>(name: Name) =>
  argument(name, 'users:permissions', (text): Rights => {
    const [, who, what] = /^(user|group|all):(rw|r)$/.exec(text) ?? [];
    if (who === undefined) throw new ConfigError(`invalid value "${text}"`);
    return { who, bits: (what === 'rw' ? 6 : 4) << (SHIFTS[who] as number) };
  });

export const proxyStoreDirectives = directives({
  proxy_store: {
    in: SETTINGS,
    args: [place],
    doc: 'Whether an answer of status 200 that came whole becomes a file: under `root` or `alias` (`on`), or at a path with variables. It is written to a temporary file while it goes to the client, whether or not that waits for it, with `proxy_buffering` only; then it gets the time of `Last-Modified` and is renamed. Default: off.',
    differs: 'An answer to HEAD makes no file, whether or not it tells its length; nor does a path with `..` or NUL.',
  },
  proxy_store_access: {
    in: SETTINGS,
    args: [rights('first'), optional(rights('second')), optional(rights('third'))],
    doc: 'The rights of these files, and of folders that are made for them: `user`, `group`, `all`, with `r` or `rw` each. Default: `user:rw`, which holds also where only others are named.',
  },
});

type StoreSet = SetOf<typeof proxyStoreDirectives> & SpoolSet;

/** undefined: nothing is stored. */
export function storeSettings(set: StoreSet, workshop: Workshop): StoreSettings | undefined {
  const where = set.proxy_store;
  if (where === undefined || where === 'off') return undefined;
  const folder = answerFolder(set, workshop);
  return { folder, writeSize: writeSizeOf(set), path: pathOf(where, workshop), access: accessOf(set) };
}

function pathOf(where: 'on' | Template, workshop: Workshop): StoreSettings['path'] {
  if (where === 'on') return (exchange) => filePathOf(exchange);
  const text = workshop.text(where);
  return (exchange) => safePath(exchange, text(exchange));
}

function accessOf({ proxy_store_access: given }: StoreSet): number {
  if (given === undefined) return 0o600;
  const all = [given.first, given.second, given.third].filter((one) => one !== undefined);
  const own = all.some(({ who }) => who === 'user') ? 0 : 0o600;
  return all.reduce((sum, { bits }) => sum | bits, own);
}

/** On a level that sets one of them, though nothing may be passed on there. */
export function checkStore(set: StoreSet, workshop: Workshop, level: Level): void {
  if (!level.has('proxy_store') || set.proxy_store === undefined || set.proxy_store === 'off') return;
  if (set.proxy_store !== 'on') workshop.text(set.proxy_store);
  const both = level.block.directives.filter(
    ({ name, args }) => name === 'proxy_store' || (name === 'proxy_cache' && args[0]?.text !== 'off'),
  );
  const [first, second] = both;
  if (first === undefined || second === undefined || first.name === second.name) return;
  workshop.error(`"${second.name}" directive is incompatible with "${first.name}"`, second.end);
}

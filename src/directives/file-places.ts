// root and alias: where the files of a URI are.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#root

import { posix } from 'node:path';
import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import type { Template } from '../config/template.ts';
import { argument, template } from '../config/values.ts';
import type { Exchange, Handler, LocationSettings, Text } from '../exchange/exchange.ts';
import { DECLINED } from '../exchange/verdict.ts';
import type { Level, LocationDraft, Workshop } from './draft.ts';

/** These are made of the path itself. */
const OF_THE_PATH = ['document_root', 'realpath_root'] as const;

export const placeKind: Kind<'path', Template> = argument('path', 'path', (_text, given, directive) => {
  const path = template('path').parse([given], directive);
  const used = OF_THE_PATH.find((name) => path.text.includes(`$${name}`) || path.text.includes(`\${${name}}`));
  if (used === undefined) return path;
  throw new ConfigError(`the $${used} variable cannot be used in the "${directive}" directive`);
});

interface FilePlaces extends Pick<LocationSettings, 'documentRoot' | 'filePath'> {
  readonly aliasLength: number | undefined;
}

interface PlacesSet {
  readonly root: Template;
  readonly alias: Template | undefined;
}

/** Sets where the files of a location are. With neither of the two it takes what the level above has, an alias with all that it stands for. */
export function setFilePlaces(set: PlacesSet, draft: LocationDraft, level: Level): void {
  checkAlias(draft, level);
  const { aliasLength, ...paths } = filePlaces(set, draft, level);
  draft.aliasLength = aliasLength;
  Object.assign(draft.settings, paths);
  if (aliasLength !== 0) draft.content.push(keepToAlias);
}

const FILE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST']);

/** Stands before those who answer with files; what refuses a method does so first. */
const keepToAlias: Handler = (exchange) =>
  FILE_METHODS.has(exchange.method) && hasLeftAlias(exchange) ? 500 : DECLINED;

/** A `rewrite … break` has put another URI in place of the location's, which says nothing of a file under its alias. It is logged. */
export function hasLeftAlias(exchange: Exchange): boolean {
  if (!exchange.uriLeftLocation) return false;
  const { name } = exchange.location;
  exchange.log('alert', `"alias" cannot be used in location "${name}" where URI was rewritten`);
  return true;
}

function filePlaces(set: PlacesSet, draft: LocationDraft, level: Level): FilePlaces {
  const { parent, workshop } = draft;
  if (level.has('alias')) return aliasPlaces(set.alias as Template, draft);
  if (level.has('root') || parent === undefined) return rootPlaces(set.root, workshop);
  const { documentRoot, filePath } = parent.settings;
  return { documentRoot, filePath, aliasLength: parent.aliasLength };
}

function checkAlias({ pattern }: LocationDraft, level: Level): void {
  if (!level.has('alias')) return;
  const at = level.at('alias');
  if (pattern?.kind === 'named')
    throw new ConfigError('the "alias" directive cannot be used inside the named location', at);
  if (!level.has('root')) return;
  const order = level.block.directives.map(({ name }) => name);
  const aliasIsLater = order.indexOf('alias') > order.indexOf('root');
  const [earlier, later] = aliasIsLater ? (['root', 'alias'] as const) : (['alias', 'root'] as const);
  const message = `"${later}" directive is duplicate, "${earlier}" directive was specified earlier`;
  throw new ConfigError(message, level.at(later));
}

function rootPlaces(written: Template, workshop: Workshop): FilePlaces {
  const root = absolutePath(written, workshop, (path) => path.replace(/\/$/, ''));
  return { documentRoot: root, filePath: (exchange, uri) => root(exchange) + uri, aliasLength: 0 };
}

/** With an expression the whole path is made of its captures. */
function aliasPlaces(written: Template, { pattern, workshop }: LocationDraft): FilePlaces {
  const alias = absolutePath(written, workshop, (path) => path);
  if (pattern === undefined || pattern.kind === 'regex')
    return {
      documentRoot: alias,
      filePath: (exchange, uri) => wholeAlias(exchange, uri, alias),
      aliasLength: undefined,
    };
  const { length } = pattern.text;
  return {
    documentRoot: alias,
    filePath: (exchange, uri) => alias(exchange) + uri.slice(length),
    aliasLength: length,
  };
}

const FOUND = Symbol('what try_files has found under an alias made of captures');

/** `try_files` has found this URI under the alias, which stands for the whole path otherwise. */
export function addToAlias(exchange: Exchange, uri: string): void {
  exchange.setNote(FOUND, uri);
}

function wholeAlias(exchange: Exchange, uri: string, alias: Text): string {
  return exchange.note(FOUND) === uri ? alias(exchange) + uri : alias(exchange);
}

/**
 * A path of the configuration: relative to the prefix. With variables it is known only for each exchange. `..` in it is its
 * author's and resolved here; what comes of a URI or a variable is refused where the file is opened.
 */
function absolutePath(written: Template, workshop: Workshop, trim: (path: string) => string): Text {
  const { constant } = written;
  if (constant !== undefined) {
    const fixed = byteString(trim(posix.normalize(workshop.fromPrefix(constant))));
    return () => fixed;
  }
  const text = workshop.text(written);
  const prefix = byteString(workshop.fromPrefix(''));
  return (exchange: Exchange) => {
    const path = trim(text(exchange));
    return path.startsWith('/') ? path : prefix + path;
  };
}

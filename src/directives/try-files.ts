// try_files: the first of several files or folders that is there, else a last resort.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#try_files

import fs from 'node:fs';
import type { Kind } from '../config/directive.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';
import { template } from '../config/values.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { answerSafely } from '../serve/answer.ts';
import { leavesFolder, pathBytes } from '../serve/file-path.ts';
import { mayFollow } from '../serve/symbolic-links.ts';
import type { LocationDraft } from './draft.ts';
import { addToAlias, hasLeftAlias } from './file-places.ts';
import { nginxModule } from './module.ts';

interface WrittenCandidate {
  readonly name: Template;
  /** It ended in `/`: a folder is looked for. */
  readonly isFolder: boolean;
}

interface WrittenTries {
  readonly candidates: readonly WrittenCandidate[];
  /** A status, or where to go. */
  readonly otherwise: number | Template;
}

const MOST_STATUS = 999;

const triesKind: Kind<'files', WrittenTries> = {
  name: 'files',
  syntax: 'file ... uri | file ... =code',
  takes: 'rest',
  parse: (args, directive) => {
    const last = args.at(-1) as Argument;
    if (args.length < 2) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, last.at);
    const candidates = args.slice(0, -1).map((one) => readCandidate(one, directive));
    return { candidates, otherwise: readOtherwise(last, directive) };
  },
};

function readCandidate(given: Argument, directive: string): WrittenCandidate {
  const isFolder = given.text.endsWith('/');
  const text = isFolder ? given.text.slice(0, -1) : given.text;
  return { name: template('file').parse([{ ...given, text }], directive), isFolder };
}

function readOtherwise(given: Argument, directive: string): number | Template {
  if (!given.text.startsWith('=')) return template('uri').parse([given], directive);
  const status = parseNumber(given.text.slice(1));
  if (status === undefined || status > MOST_STATUS) throw new ConfigError(`invalid code "${given.text}"`, given.at);
  return status;
}

export const tryFiles = nginxModule('http_try_files', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_core_module.html#try_files',
  directives: directives({
    try_files: {
      in: ['server', 'location'],
      args: [triesKind],
      inherit: false,
      doc: 'Answers with the first file that is there, or folder where the name ends in `/`; where none is, with the last argument: a URI, a `@name`, or `=code`.',
    },
  }),
  location({ try_files: written }, draft) {
    if (written === undefined) return;
    const settings = triesSettings(written, draft);
    draft.precontent.push((exchange) =>
      settings.aliasLength !== 0 && hasLeftAlias(exchange) ? 500 : new FileTries(exchange, settings).next(),
    );
  },
});

interface Candidate {
  readonly name: Text;
  readonly isFolder: boolean;
  /** With variables, the part that an alias stands for is cut off. */
  readonly isWhole: boolean;
}

interface TriesSettings {
  readonly candidates: readonly Candidate[];
  readonly otherwise: number | Text;
  /** So much of the URI an `alias` stands for; 0 with `root`; undefined: the alias is a path of captures, and what is found stands behind it. */
  readonly aliasLength: number | undefined;
}

function triesSettings(
  { candidates, otherwise }: WrittenTries,
  { workshop, aliasLength }: LocationDraft,
): TriesSettings {
  return {
    candidates: candidates.map(({ name, isFolder }) => ({
      name: workshop.text(name),
      isFolder,
      isWhole: name.constant === undefined,
    })),
    otherwise: typeof otherwise === 'number' ? otherwise : workshop.text(otherwise),
    aliasLength,
  };
}

const IS_NOT_THERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/** Looks for one candidate after the other. It holds nothing that would have to be freed when the client goes. */
class FileTries {
  readonly #exchange: Exchange;
  readonly #settings: TriesSettings;
  #index = 0;

  constructor(exchange: Exchange, settings: TriesSettings) {
    this.#exchange = exchange;
    this.#settings = settings;
  }

  next(): Verdict {
    const candidate = this.#settings.candidates[this.#index++];
    if (candidate === undefined) return this.#giveUp();
    const name = this.#nameUnderRoot(candidate);
    const path = this.#exchange.location.documentRoot(this.#exchange) + name;
    if (leavesFolder(path)) return this.next();
    fs.stat(pathBytes(path), (error, stats) => this.#looked(candidate, name, path, error, stats));
    return PENDING;
  }

  #nameUnderRoot({ name, isWhole }: Candidate): string {
    const exchange = this.#exchange;
    const { aliasLength } = this.#settings;
    const said = name(exchange);
    if (!isWhole || aliasLength === undefined || aliasLength === 0) return said;
    return said.startsWith(exchange.uri.slice(0, aliasLength)) ? said.slice(aliasLength) : said;
  }

  #looked(candidate: Candidate, name: string, path: string, error: Error | null, stats: fs.Stats): void {
    const exchange = this.#exchange;
    if (exchange.finished) return;
    const rule = exchange.location.symlinks;
    const found = error === null && stats.isDirectory() === candidate.isFolder;
    if (error !== null) this.#logFault(path, error);
    if (!found || rule === undefined) this.#goOn(candidate, name, found);
    else
      mayFollow(exchange, rule, path).then(
        (may) => this.#goOn(candidate, name, may),
        (fault: Error) => {
          this.#logFault(path, fault);
          this.#goOn(candidate, name, false);
        },
      );
  }

  #goOn(candidate: Candidate, name: string, found: boolean): void {
    const exchange = this.#exchange;
    if (exchange.finished) return;
    answerSafely(exchange, () => {
      const verdict = found ? this.#take(candidate, name) : this.next();
      if (verdict !== PENDING) exchange.resume(verdict);
    });
  }

  #logFault(path: string, error: Error): void {
    const code = systemErrorCode(error);
    if (!IS_NOT_THERE.has(code)) this.#exchange.log('crit', `stat() "${path}" failed (${systemErrorText(code)})`);
  }

  #take({ isFolder }: Candidate, name: string): Verdict {
    const exchange = this.#exchange;
    const { aliasLength } = this.#settings;
    if (aliasLength !== undefined) exchange.uri = exchange.uri.slice(0, aliasLength) + name;
    else if (!isFolder) this.#takeUnderCaptures(name);
    return DECLINED;
  }

  #takeUnderCaptures(name: string): void {
    this.#exchange.uri = name;
    addToAlias(this.#exchange, name);
  }

  #giveUp(): Verdict {
    const exchange = this.#exchange;
    const { otherwise } = this.#settings;
    if (typeof otherwise === 'number') return otherwise;
    const target = otherwise(exchange);
    const question = target.indexOf('?');
    if (target.startsWith('@')) exchange.pipeline.redirectToNamed(exchange, target);
    else if (question < 0) exchange.pipeline.redirect(exchange, target, '');
    else exchange.pipeline.redirect(exchange, target.slice(0, question), target.slice(question + 1));
    return PENDING;
  }
}

// sub_filter: replaces strings in the bodies of answers.
// https://nginx.org/en/docs/http/ngx_http_sub_module.html

import { BodyFilter } from '../exchange/body-filter.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { becomeAnother, forgetLength } from './another-body.ts';
import { mediaType } from './media-type.ts';
import { Replacing, type SearchStrings } from './replacements.ts';

export interface Substitution {
  /** What is looked for in this answer, and the replacement of each; undefined: nothing. */
  readonly wanted: (exchange: Exchange) => Wanted | undefined;
  /** Each is replaced only where it stands first. */
  readonly once: boolean;
  /** The answer still tells when it was changed, and its tag, as a weak one. */
  readonly keepsLastModified: boolean;
  /** Media types in lower case; undefined: all. */
  readonly types: ReadonlySet<string> | undefined;
}

export interface Wanted {
  readonly searched: SearchStrings;
  readonly replacements: readonly Text[];
}

/** As a header filter. */
export function substitute(exchange: Exchange, substitution: Substitution): void {
  const { types, once, keepsLastModified } = substitution;
  if (exchange.parent !== undefined || exchange.contentLength === 0) return;
  if (types !== undefined && !types.has(mediaType(exchange.answer.get('content-type') ?? ''))) return;
  const wanted = substitution.wanted(exchange);
  if (wanted === undefined) return;
  if (keepsLastModified) becomeAnother(exchange);
  else forgetVersion(exchange);
  if (!exchange.bodiless) exchange.addBodyFilter(new SubstitutionFilter(exchange, wanted, once));
}

/** What is put in may be another thing with each request. */
function forgetVersion(exchange: Exchange): void {
  forgetLength(exchange);
  exchange.answer.remove('last-modified');
  exchange.answer.remove('etag');
}

class SubstitutionFilter extends BodyFilter {
  readonly #replacing: Replacing;

  constructor(exchange: Exchange, { searched, replacements }: Wanted, once: boolean) {
    super();
    const known: string[] = [];
    const replacement = (index: number): string => {
      known[index] ??= (replacements[index] as Text)(exchange);
      return known[index];
    };
    this.#replacing = new Replacing(searched, replacement, once);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#replacing.isOver) return this.outlet.write(bytes, start, end);
    return this.#pass(this.#replacing.take(textOf(bytes, start, end)));
  }

  end(): void {
    this.#pass(this.#replacing.end());
    this.outlet.end();
  }

  get pendingBytes(): number {
    return this.#replacing.heldBack;
  }

  #pass(text: string): boolean {
    return text === '' || this.outlet.write(Buffer.from(text, 'latin1'), 0, text.length);
  }
}

function textOf({ buffer, byteOffset }: Uint8Array, start: number, end: number): string {
  return Buffer.from(buffer, byteOffset + start, end - start).toString('latin1');
}

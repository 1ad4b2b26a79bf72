// types: media types by the extension of a file.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#types

import { byteString, lowerCase } from '../config/source.ts';
import type { Block, Directive } from '../config/tree.ts';
import { DEFAULT_TYPES } from '../serve/mime-types.ts';
import type { Workshop } from './draft.ts';

interface WrittenTypes {
  readonly block: Block;
}

/** One table for each list of blocks, however many locations inherit it. */
const tables = new WeakMap<readonly WrittenTypes[], ReadonlyMap<string, string>>();

/** All `types` of one level together; none at all: nginx's own three. */
export function mediaTypes(written: readonly WrittenTypes[], workshop: Workshop): ReadonlyMap<string, string> {
  if (written.length === 0) return DEFAULT_TYPES;
  const known = tables.get(written);
  if (known !== undefined) return known;
  const table = new Map<string, string>();
  for (const { block } of written) for (const line of block.directives) addLine(table, line, workshop);
  tables.set(written, table);
  return table;
}

function addLine(table: Map<string, string>, { name, args, at }: Directive, workshop: Workshop): void {
  const type = byteString(name);
  for (const { text } of args) {
    const extension = lowerCase(byteString(text));
    const former = table.get(extension);
    if (former !== undefined) {
      const types = `content type: "${type}", previous content type: "${former}"`;
      workshop.warn(`duplicate extension "${text}", ${types}`, at);
    }
    table.set(extension, type);
  }
}

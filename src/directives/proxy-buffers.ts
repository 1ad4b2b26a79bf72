// The buffers of proxy_pass: nginx's rules for their sizes, and the file behind them.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_busy_buffers_size

import type { TempFolder } from '../exchange/kept-body.ts';
import type { SpoolSettings } from '../serve/answer-spool.ts';
import type { Level, Workshop } from './draft.ts';
import { tempFolder, type WrittenFolder } from './temporary-folder.ts';

interface BuffersSet {
  readonly proxy_buffer_size: number;
  readonly proxy_buffers: { readonly number: number; readonly size: number };
  readonly proxy_busy_buffers_size: number | undefined;
  readonly proxy_temp_file_write_size: number | undefined;
  readonly proxy_max_temp_file_size: number | undefined;
}

export interface SpoolSet extends BuffersSet {
  readonly proxy_temp_path: WrittenFolder | undefined;
}

const DEFAULT_MOST = 1024 ** 3;

/** Where what a slow client has not taken of an answer waits; undefined: at the peer. */
export function spoolSettings(set: SpoolSet, workshop: Workshop): SpoolSettings | undefined {
  const most = set.proxy_max_temp_file_size ?? DEFAULT_MOST;
  if (most === 0) return undefined;
  return { folder: answerFolder(set, workshop), most, writeSize: writeSizeOf(set) };
}

/** So much is written to a temporary file at once. */
export function writeSizeOf(set: BuffersSet): number {
  return set.proxy_temp_file_write_size ?? 2 * Math.max(set.proxy_buffer_size, set.proxy_buffers.size);
}

export function answerFolder(set: Pick<SpoolSet, 'proxy_temp_path'>, workshop: Workshop): TempFolder {
  return tempFolder(set.proxy_temp_path, 'proxy_temp', workshop);
}

const NAMES = [
  'proxy_busy_buffers_size',
  'proxy_temp_file_write_size',
  'proxy_max_temp_file_size',
  'proxy_buffers',
  'proxy_buffer_size',
] as const satisfies readonly (keyof BuffersSet)[];

const LARGEST = 'the maximum of the value of "proxy_buffer_size" and one of the "proxy_buffers"';

/** Only on a level that sets one of them: below it nothing changes. */
export function checkBuffers(set: BuffersSet, workshop: Workshop, level: Level): void {
  const nearest = NAMES.find((name) => level.has(name));
  const mistake = nearest === undefined ? undefined : mistakeIn(set);
  if (nearest !== undefined && mistake !== undefined) workshop.error(mistake, level.at(nearest));
}

function mistakeIn(set: BuffersSet): string | undefined {
  const { number, size } = set.proxy_buffers;
  const largest = Math.max(set.proxy_buffer_size, size);
  const busy = set.proxy_busy_buffers_size ?? 2 * largest;
  const most = set.proxy_max_temp_file_size ?? Number.POSITIVE_INFINITY;
  if (number < 2) return 'there must be at least 2 "proxy_buffers"';
  if (busy < largest) return `"proxy_busy_buffers_size" must be equal to or greater than ${LARGEST}`;
  if (busy > (number - 1) * size)
    return '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer';
  if ((set.proxy_temp_file_write_size ?? largest) < largest)
    return `"proxy_temp_file_write_size" must be equal to or greater than ${LARGEST}`;
  if (most === 0 || most >= largest) return undefined;
  const off = 'must be equal to zero to disable temporary files usage or must be equal to or greater than';
  return `"proxy_max_temp_file_size" ${off} ${LARGEST}`;
}

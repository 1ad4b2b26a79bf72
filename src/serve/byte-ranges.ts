// Which parts of a body a `Range` header asks for (RFC 9110 14.2), with nginx's limits.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#max_ranges

/** Bytes `[start, end)` of the body. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `whole`: the header says nothing that need be obeyed, the body goes as it is. `unsatisfiable`: 416. */
export type RangeRequest = readonly ByteRange[] | 'whole' | 'unsatisfiable';

/** `max_ranges` where the configuration has none: nginx then guards against many small ranges in another way. */
export const UNLIMITED_RANGES = 0x7fffffff;

const RANGE = /^ *(?:(\d+) *- *(?:(\d+) *)?|-(\d+) *)$/;
/** nginx counts in 63 bits. */
const HIGHEST = '9223372036854775807';
/** What the head of one part may cost, and how much the parts together may be larger than the whole. */
const PART_OVERHEAD = 256;
const ALLOWED_EXCESS = 4096;

/**
 * Reads a `Range` header. Ranges in any order, also ones that overlap, are taken as they are, but not more than
 * `maxRanges`, nor more bytes than the whole body has: then the whole body is sent.
 * @param size of the body in bytes
 */
export function parseRanges(header: string, size: number, maxRanges: number): RangeRequest {
  if (maxRanges === 0 || !/^bytes=./is.test(header)) return 'whole';
  const ranges: ByteRange[] = [];
  let total = 0;
  for (const text of header.slice(6).split(',')) {
    const range = parseRange(text, size);
    if (range === undefined) return 'unsatisfiable';
    if (range.start < range.end) {
      if (ranges.length === maxRanges) return 'whole';
      ranges.push(range);
      total += range.end - range.start;
    } else if (range.start === 0) return 'whole';
  }
  if (ranges.length === 0) return 'unsatisfiable';
  return ranges.length > 1 && isExcessive(ranges.length, total, size, maxRanges) ? 'whole' : ranges;
}

/** One range, cut to the body; empty where it lies behind it; undefined where the text is none. */
function parseRange(text: string, size: number): ByteRange | undefined {
  const match = RANGE.exec(text);
  if (match === null) return undefined;
  const [, first, last, suffix] = match;
  if ([first, last, suffix].some(isTooHigh)) return undefined;
  if (suffix !== undefined) return { start: Math.max(0, size - Number(suffix)), end: size };
  return { start: Number(first), end: last === undefined ? size : Math.min(size, Number(last) + 1) };
}

function isTooHigh(digits: string | undefined): boolean {
  const significant = digits?.replace(/^0+/, '') ?? '';
  return significant.length > HIGHEST.length || (significant.length === HIGHEST.length && significant > HIGHEST);
}

function isExcessive(count: number, total: number, size: number, maxRanges: number): boolean {
  if (total > size) return true;
  return maxRanges >= UNLIMITED_RANGES && total + count * PART_OVERHEAD > size + ALLOWED_EXCESS;
}

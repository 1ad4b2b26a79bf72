// Numbers, sizes and times as nginx writes them: `512`, `8k`, `1g`, `1m30s`, `500ms`.

/** nginx counts in 64 bits and refuses what does not fit. */
const MOST = 2n ** 63n - 1n;

/** Decimal digits alone, no sign; undefined for anything else, or more than 2^63-1. */
export function parseNumber(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text) || BigInt(text) > MOST) return undefined;
  return Number(text);
}

const KILO = 1024;
const SCALES: Readonly<Record<string, number>> = { k: KILO, m: KILO ** 2, g: KILO ** 3 };

/** Bytes: a number, perhaps with `k`, `m`, or (where nginx calls it an offset) `g`, in either case; undefined for anything else. */
export function parseSize(text: string, units: 'km' | 'kmg'): number | undefined {
  const unit = text.slice(-1).toLowerCase();
  const scaled = unit !== '' && units.includes(unit);
  const count = parseNumber(scaled ? text.slice(0, -1) : text);
  const scale = scaled ? (SCALES[unit] as number) : 1;
  return count === undefined || count > Number(MOST) / scale ? undefined : count * scale;
}

/** Milliseconds of each unit, from the longest to the shortest: they must be written in this order, each at most once. */
const UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ['y', 365 * 86_400_000],
  ['M', 30 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** Where milliseconds count, years and months are refused. */
const MONTHS = UNITS.findIndex(([unit]) => unit === 'M');
/** The plain number at the end (`1m 30`): seconds, so nothing may follow it, and no `s` may have come before. */
const SECONDS = UNITS.findIndex(([unit]) => unit === 's');

/**
 * Milliseconds. `precision` is that of nginx's variable: one that counts milliseconds knows `ms` but no years and months; one that
 * counts seconds knows years but no `ms`. A number without a unit is seconds.
 */
export function parseTime(text: string, precision: 'ms' | 's'): number | undefined {
  let step = precision === 'ms' ? MONTHS : -1;
  let total = 0;
  let rest = text;
  let digits = false;
  while (rest !== '') {
    const found = /^([0-9]*)(ms|[yMwdhms ]|$) */.exec(rest);
    if (found === null) return undefined;
    const [whole, count = '', unit = ''] = found;
    const index = unitIndex(unit, precision);
    if (index === undefined || (unit !== '' && !follows(index, step, unit))) return undefined;
    if (unit !== '') step = unit === ' ' ? UNITS.length : index;
    digits ||= count !== '';
    total += Number(count) * ((UNITS[index] as readonly [string, number])[1] as number);
    rest = rest.slice(whole.length);
  }
  return digits && Number.isFinite(total) && total / timeScale(precision) <= Number(MOST) ? total : undefined;
}

const timeScale = (precision: 'ms' | 's'): number => (precision === 'ms' ? 1 : 1000);

function unitIndex(unit: string, precision: 'ms' | 's'): number | undefined {
  if (unit === 'ms' && precision === 's') return undefined;
  return unit === '' || unit === ' ' ? SECONDS : UNITS.findIndex(([name]) => name === unit);
}

/** Milliseconds may follow anything but themselves; a space after a number stands for `s`. */
function follows(index: number, step: number, unit: string): boolean {
  return unit === ' ' ? step < SECONDS : index > step;
}

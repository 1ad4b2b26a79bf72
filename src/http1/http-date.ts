// Dates as HTTP writes them (RFC 9110, 5.6.7).

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// What stands before the comma and after the seconds is not looked at: nginx does not either, and old clients write more there.
/** Sun, 06 Nov 1994 08:49:37 GMT */
const IMF_FIXDATE = /^[A-Za-z]*, *(\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)/;
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC_850 = /^[A-Za-z]*, *(\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d)/;
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = /^[A-Za-z]+ +([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})/;

const FIRST_YEAR = 1000;
const YEARS_AHEAD = 50;

let cachedSecond = Number.NaN;
let cachedText = '';

/** A moment in milliseconds as an IMF-fixdate. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** As `formatHttpDate`, but remembers the last second: for the Date field, which is the same for many answers. */
export function httpDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = formatHttpDate(ms);
  }
  return cachedText;
}

/**
 * Reads any of the three forms.
 * @param now milliseconds; a year of two digits is the one that is not more than 50 years ahead of it
 * @returns milliseconds, or undefined where the text is no date
 */
export function parseHttpDate(text: string, now: number = Date.now()): number | undefined {
  return parseImf(text) ?? parseRfc850(text, now) ?? parseAsctime(text);
}

function parseImf(text: string): number | undefined {
  const [, day, month, year, hour, minute, second] = IMF_FIXDATE.exec(text) ?? [];
  return year === undefined ? undefined : moment(Number(year), month, day, hour, minute, second);
}

function parseRfc850(text: string, now: number): number | undefined {
  const [, day, month, year, hour, minute, second] = RFC_850.exec(text) ?? [];
  return year === undefined ? undefined : moment(fullYear(Number(year), now), month, day, hour, minute, second);
}

function parseAsctime(text: string): number | undefined {
  const [, month, day, hour, minute, second, year] = ASCTIME.exec(text) ?? [];
  return year === undefined ? undefined : moment(Number(year), month, day, hour, minute, second);
}

/** The latest year that ends in these two digits and is not more than 50 years ahead. */
function fullYear(twoDigits: number, now: number): number {
  const latest = new Date(now).getUTCFullYear() + YEARS_AHEAD;
  return latest - ((((latest - twoDigits) % 100) + 100) % 100);
}

function moment(
  year: number,
  monthName: string | undefined,
  day: string | undefined,
  hour: string | undefined,
  minute: string | undefined,
  second: string | undefined,
): number | undefined {
  const month = MONTHS.indexOf(monthName ?? '');
  if (year < FIRST_YEAR || month < 0 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60)
    return undefined;
  const ms = Date.UTC(year, month, Number(day), Number(hour), Number(minute));
  // The 31st of April is the 1st of May to `Date`: no date at all to us.
  return new Date(ms).getUTCDate() === Number(day) ? ms + Number(second) * 1000 : undefined;
}

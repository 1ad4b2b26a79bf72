// The time as variables show it: $time_local and $time_iso8601, whose texts are made once in a second, and the dates of ssi.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export interface ClockTexts {
  /** `2026-11-23T15:34:58+01:00` */
  readonly iso: string;
  /** `23/Nov/2026:15:34:58 +0100` */
  readonly local: string;
}

let second = -1;
let texts: ClockTexts = { iso: '', local: '' };

export function clock(): ClockTexts {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    texts = clockTexts(new Date(now * 1000));
  }
  return texts;
}

/** As `$date_local` and `$date_gmt` have it: `Monday, 23-Nov-2026 15:34:58 CET`. @param timeZone undefined: that of this machine */
export function longDate(timeZone: 'UTC' | undefined): string {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-GB', { ...LONG, timeZone }).formatToParts().map(({ type, value }) => [type, value]),
  );
  const { weekday, day, month, year, hour, minute, second: seconds, timeZoneName } = parts;
  const zone = timeZone === 'UTC' ? 'GMT' : timeZoneName;
  return `${weekday}, ${day}-${MONTHS[Number(month) - 1]}-${year} ${hour}:${minute}:${seconds} ${zone}`;
}

const LONG: Intl.DateTimeFormatOptions = {
  weekday: 'long',
  day: '2-digit',
  month: '2-digit',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  timeZoneName: 'short',
};

const two = (value: number): string => `${value}`.padStart(2, '0');

function clockTexts(date: Date): ClockTexts {
  const east = -date.getTimezoneOffset();
  const sign = east < 0 ? '-' : '+';
  const hours = two(Math.floor(Math.abs(east) / 60));
  const minutes = two(Math.abs(east) % 60);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = two(date.getDate());
  return {
    iso: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${day}T${time}${sign}${hours}:${minutes}`,
    local: `${day}/${MONTHS[date.getMonth()]}/${date.getFullYear()}:${time} ${sign}${hours}${minutes}`,
  };
}

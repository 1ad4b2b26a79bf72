// The time as $time_local and $time_iso8601 show it: the text of a second is made once.

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

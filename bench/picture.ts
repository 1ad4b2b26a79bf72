// The results as a picture: one group of bars for each work, as long as the proxy's cost beside nginx's.

import type { Outcome } from './measure.ts';

const WIDTH = 900;
const LEFT = 404; // where the bars begin
const RIGHT = 44; // for the arrow behind a bar that was cut
const FIGURES = 44; // for the figures before the bars
const BAR = 11;
const BETWEEN_BARS = 3;
const BETWEEN_GROUPS = 18;
const TOP = 84;
const BOTTOM = 34;
/** A longer bar is cut. */
const RATIO_MOST = 4;

/** The one whose targets are drawn. */
const OURS = 'sockgate';

const COLOURS: Readonly<Record<string, { light: string; dark: string }>> = {
  nginx: { light: '#8a94a3', dark: '#7d8794' },
  sockgate: { light: '#0b7a5c', dark: '#2fc496' },
  haproxy: { light: '#5b7fc7', dark: '#7fa2ea' },
  'http-proxy-3': { light: '#c98a3c', dark: '#dba35a' },
};

function style(names: readonly string[]): string {
  const fills = (theme: 'light' | 'dark'): string =>
    names.map((name, index) => `.p${index}{fill:${COLOURS[name]?.[theme] ?? '#888'}}`).join('');
  return `text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1d2430}
.page{fill:#fff;stroke:#d5dae1}.title{font-size:17px;font-weight:600}.soft{fill:#5c6675;font-size:12px}
.one{stroke:#5c6675}.grid{stroke:#e6e9ee}.target{stroke:#1d2430;stroke-width:2}.ours{font-weight:600}.value{font-size:11px}${fills('light')}
@media(prefers-color-scheme:dark){text{fill:#e4e8ee}.page{fill:#161b22;stroke:#30363d}.soft{fill:#9aa4b2}
.one{stroke:#9aa4b2}.grid{stroke:#262c35}.target{stroke:#e4e8ee}${fills('dark')}}`;
}

const x = (ratio: number): number => LEFT + (Math.min(ratio, RATIO_MOST) / RATIO_MOST) * (WIDTH - LEFT - RIGHT);

const text = (at: number, y: number, words: string, attributes = ''): string =>
  `<text x="${at.toFixed(1)}" y="${y}"${attributes}>${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

function bar(index: number, y: number, name: string, ratio: number | undefined): string {
  const figure = ratio === undefined ? '–' : ratio.toFixed(2);
  const label = text(LEFT - 8, y + BAR - 2, figure, ` class="value${name === OURS ? ' ours' : ''}" text-anchor="end"`);
  if (ratio === undefined) return label;
  const cut = ratio > RATIO_MOST ? text(x(ratio) + 4, y + BAR - 1.5, '→', ' class="soft"') : '';
  const width = (x(ratio) - LEFT).toFixed(1);
  return `${label}<rect class="p${index}" x="${LEFT}" y="${y}" width="${width}" height="${BAR}" rx="2"/>${cut}`;
}

function target(ratio: number, y: number): string {
  return `<path class="target" d="M${x(ratio).toFixed(1)} ${y - 3}v${BAR + 6}"><title>target ${ratio}</title></path>`;
}

function group({ work, costs }: Outcome, names: readonly string[], top: number): string {
  const rowOf = (index: number): number => top + index * (BAR + BETWEEN_BARS);
  const bars = names.map((name, index) => bar(index, rowOf(index), name, costs[name]?.ratio));
  const ours = names.indexOf(OURS);
  const middle = top + groupHeight(names) / 2;
  return (
    text(LEFT - FIGURES - 12, middle + 4.5, work.title, ' text-anchor="end"') +
    bars.join('') +
    (ours < 0 ? '' : target(work.target, rowOf(ours)))
  );
}

const groupHeight = (names: readonly string[]): number => names.length * (BAR + BETWEEN_BARS) - BETWEEN_BARS;

function legend(names: readonly string[]): string {
  let at = 24;
  const entries = names.map((name, index) => {
    const entry = `<rect class="p${index}" x="${at}" y="54" width="12" height="12" rx="2"/>${text(at + 18, 64.5, name)}`;
    at += 46 + name.length * 7.2;
    return entry;
  });
  return `${entries.join('')}<path class="target" d="M${at + 2} 52V68"/>${text(at + 10, 64.5, 'what sockgate should not exceed')}`;
}

function scale(bottom: number): string {
  return Array.from({ length: RATIO_MOST + 1 }, (_, ratio) => {
    const at = x(ratio).toFixed(1);
    return (
      `<path class="${ratio === 1 ? 'one' : 'grid'}" d="M${at} ${TOP - 6}V${bottom}"/>` +
      text(x(ratio), bottom + 18, String(ratio), ' class="soft" text-anchor="middle"')
    );
  }).join('');
}

/** An SVG that brings its own background, so it reads on a light page and on a dark one. */
export function picture(outcomes: readonly Outcome[], names: readonly string[]): string {
  const step = groupHeight(names) + BETWEEN_GROUPS;
  const bottom = TOP + outcomes.length * step - BETWEEN_GROUPS + 8;
  const height = bottom + BOTTOM;
  const groups = outcomes.map((outcome, index) => group(outcome, names, TOP + index * step));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="t">
<title id="t">CPU time and memory of each proxy for the same work, ${names[0]} being 1</title>
<style>${style(names)}</style>
<rect class="page" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
${text(24, 34, `Cost for the same work, ${names[0]} = 1; shorter is better`, ' class="title"')}
${legend(names)}
${scale(bottom)}
${groups.join('\n')}
</svg>
`;
}

// The figures of the README: the page that the benchmark wrote, between two marks.

const BEGIN = '<!-- figures: written by `npm run docs` from bench/results/latest.md -->';
const END = '<!-- end of figures -->';

const NONE =
  'The benchmark has not been run on this version yet. `npm run bench` runs it, `npm run docs` puts its table here.\n';

/**
 * The README with the figures in their place.
 * @param latest bench/results/latest.md, or undefined where there is none yet
 * @throws where the README has not exactly one place for them
 */
export function withFigures(readme: string, latest: string | undefined): string {
  const [before, middle, ...more] = readme.split(BEGIN);
  const end = middle?.indexOf(END) ?? -1;
  if (before === undefined || middle === undefined || more.length > 0 || end < 0) {
    throw new Error(`README.md must have one "${BEGIN}", and "${END}" behind it`);
  }
  return `${before}${BEGIN}\n\n${latest === undefined ? NONE : asSection(latest)}\n${middle.slice(end)}`;
}

/** The page as a part of another one that stands in the root: without its title, one level deeper, with other paths. */
function asSection(page: string): string {
  const deeper = page.replace(/^# .*\n+/, '').replace(/^## /gm, '### ');
  return deeper
    .replace(/\]\((?!https?:|#)([^)]+)\)/g, (_, path: string) => `](${fromRoot(path)})`)
    .trimEnd()
    .concat('\n');
}

function fromRoot(path: string): string {
  return path.startsWith('../') ? `bench/${path.slice(3)}` : `bench/results/${path}`;
}

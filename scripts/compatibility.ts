// The table of compatibility in the README: the groups of docs/nginx-suite.md, between two marks.

const BEGIN = '<!-- compatibility: written by `npm run docs` from docs/nginx-suite.md -->';
const END = '<!-- end of compatibility -->';

const NONE =
  "nginx's own tests have not been run on this version yet: `scripts/nginx-suite.ts` runs them where there is a checkout.\n";

/**
 * The README with the table in its place.
 * @param page docs/nginx-suite.md, or undefined where there is none yet
 * @throws where the README has not exactly one place for it
 */
export function withCompatibility(readme: string, page: string | undefined): string {
  const [before, middle, ...more] = readme.split(BEGIN);
  const end = middle?.indexOf(END) ?? -1;
  if (before === undefined || middle === undefined || more.length > 0 || end < 0) {
    throw new Error(`README.md must have one "${BEGIN}", and "${END}" behind it`);
  }
  return `${before}${BEGIN}\n\n${page === undefined ? NONE : tableOf(page)}\n${middle.slice(end)}`;
}

/** The first table of the page, and the way to the rest. */
function tableOf(page: string): string {
  const rows = /(?:^\|.*\n)+/m.exec(page)?.[0];
  if (rows === undefined) throw new Error('docs/nginx-suite.md has no table');
  return `${rows}\nBy [nginx's own tests](docs/nginx-suite.md), file by file; what differs on purpose stands in
[docs/differences-from-nginx.md](docs/differences-from-nginx.md).\n`;
}

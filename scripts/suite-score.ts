// The score by nginx's own suite: a list of files with their groups, what came of each, and the page that says it.

import { countTap, type TapCount } from './tap.ts';

/** A line of a list: `access.t 12 1 access-auth`; what begins with `#` is none. */
export interface ListedFile {
  /** Without `.t`. */
  readonly name: string;
  /** Assertions that the file has; 0: the list does not say. */
  readonly assertions: number;
  readonly group: string;
}

export function readList(text: string): ListedFile[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return lines.filter((line) => line !== '').map(readLine);
}

function readLine(line: string): ListedFile {
  const [name = '', assertions = '0', , group = 'all'] = line.split(/\s+/);
  return { name: name.replace(/\.t$/, ''), assertions: Number(assertions) || 0, group };
}

export interface FileScore extends ListedFile {
  readonly passed: number;
  /** Out of so many: those of a file that skipped itself, or died, count all the same. */
  readonly of: number;
  readonly state: 'green' | 'partly' | 'failed' | 'skipped';
  readonly note: string;
}

/** The harness adds these to each file; whatever writes a pid file passes them. */
const OF_THE_HARNESS: ReadonlySet<string> = new Set(['no alerts', 'no sanitizer errors']);

/** @param end how the file ended, where it did not end well: `timed out`, `exited with 255` */
export function scoreOf(file: ListedFile, tap: string, end: string): FileScore {
  const count = countTap(tap, OF_THE_HARNESS);
  const announced = Math.max(0, (count.planned ?? 0) - OF_THE_HARNESS.size);
  const of = file.assertions || announced;
  return { ...file, passed: Math.min(count.passed, of), of, ...stateOf(count, end) };
}

function stateOf({ failed, passed, planned, skipsAll }: TapCount, end: string): Pick<FileScore, 'state' | 'note'> {
  if (skipsAll !== undefined) return { state: 'skipped', note: skipsAll };
  const isWhole = failed === 0 && planned !== undefined && end === '';
  if (isWhole) return { state: 'green', note: '' };
  // A file that has failures ends with their number.
  const why = failed > 0 && end.startsWith('exited') ? '' : end;
  const note = [why, failed > 0 ? `${failed} failed` : ''].filter(Boolean).join(', ');
  return { state: passed === 0 ? 'failed' : 'partly', note };
}

export interface SuiteRun {
  /** Of the suite: the commit of its checkout. */
  readonly commit: string;
  readonly version: string;
  readonly node: string;
  /** The day, as `2026-11-23`. */
  readonly day: string;
}

interface Sum {
  files: number;
  green: number;
  passed: number;
  of: number;
}

const add = (sum: Sum, score: FileScore): Sum => ({
  files: sum.files + 1,
  green: sum.green + Number(score.state === 'green'),
  passed: sum.passed + score.passed,
  of: sum.of + score.of,
});

const EMPTY: Sum = { files: 0, green: 0, passed: 0, of: 0 };

/** The page: a table with a row for each group, and the files that are not green. */
export function scorePage(scores: readonly FileScore[], run: SuiteRun): string {
  const groups = [...new Set(scores.map(({ group }) => group))].sort();
  const sumOf = (group: string): Sum => scores.filter((score) => score.group === group).reduce(add, EMPTY);
  const rows = groups.map((group) => row(group, sumOf(group)));
  const other = scores.filter(({ state }) => state !== 'green').map(otherRow);
  return `# Score by nginx's own tests

Written by \`scripts/nginx-suite.ts\`; do not edit. Sockgate ${run.version} on Node ${run.node}, by
[nginx-tests](https://github.com/nginx/nginx-tests) \`${run.commit}\`, ${run.day}. Of each group: assertions that passed, of all that its
files have. A file that skips itself, for want of a module, has passed none.

| group | files | all green | passed | of |
| --- | --: | --: | --: | --: |
${rows.join('')}${row('**together**', scores.reduce(add, EMPTY))}
What should not pass stands in [differences-from-nginx.md](differences-from-nginx.md): above all we say our own name where nginx says its.

## Files that are not green

${other.length === 0 ? 'None.\n' : `| file | passed | of | why |\n| --- | --: | --: | --- |\n${other.join('')}`}`;
}

const row = (name: string, { files, green, passed, of }: Sum): string =>
  `| ${name} | ${files} | ${green} | ${passed} | ${of} |\n`;

const otherRow = ({ name, passed, of, note }: FileScore): string =>
  `| ${name}.t | ${passed} | ${of} | ${note.replaceAll('|', '\\|')} |\n`;

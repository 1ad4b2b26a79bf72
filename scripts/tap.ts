// What a test file says in TAP, counted. https://testanything.org/tap-specification.html

export interface TapCount {
  /** Assertions that were announced; undefined: none were. */
  readonly planned: number | undefined;
  /** "ok", and neither skipped nor of something that is yet to be done. */
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly todo: number;
  /** Why the file skipped itself; undefined: it did not. */
  readonly skipsAll: string | undefined;
}

const PLAN = /^1\.\.(\d+)(?:\s*#\s*skip\S*\s*(.*))?$/i;
const RESULT = /^(not )?ok\b(?:\s+\d+)?\s*(.*)$/;
const DIRECTIVE = /#\s*(skip|todo)\b/i;

/** @param ignored names of assertions that count only where they fail */
export function countTap(text: string, ignored: ReadonlySet<string> = new Set()): TapCount {
  const count = { planned: undefined as number | undefined, passed: 0, failed: 0, skipped: 0, todo: 0 };
  let skipsAll: string | undefined;
  for (const line of text.split('\n')) {
    const plan = PLAN.exec(line);
    if (plan !== null) {
      count.planned = Number(plan[1]);
      if (plan[2] !== undefined) skipsAll = plan[2];
      continue;
    }
    const result = RESULT.exec(line);
    if (result !== null) count[kindOf(result, ignored)]++;
  }
  return { ...count, skipsAll };
}

type Kind = 'passed' | 'failed' | 'skipped' | 'todo';

function kindOf([, not, rest = '']: RegExpExecArray, ignored: ReadonlySet<string>): Kind {
  const directive = DIRECTIVE.exec(rest)?.[1]?.toLowerCase();
  if (directive === 'todo') return 'todo';
  if (not !== undefined) return 'failed';
  const name = rest.replace(/^-\s*/, '').trim();
  return directive === 'skip' || ignored.has(name) ? 'skipped' : 'passed';
}

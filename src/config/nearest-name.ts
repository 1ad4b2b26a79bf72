// The known name that somebody may have meant, by edit distance.

/** Longer names than this are no slip of the finger. */
const LONGEST = 64;

/** The name that differs least, if it differs little: one edit in three characters, at most three. Neighbours swapped are one edit. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  let nearest: string | undefined;
  let least = Math.min(3, Math.max(1, Math.floor(name.length / 3))) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= least) continue;
    const distance = editDistance(name, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

/** Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours. */
function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      current.push(cheapest(one, other, row, column, current, last, beforeLast));
    }
    [beforeLast, last] = [last, current];
  }
  return last[other.length] as number;
}

function cheapest(
  one: string,
  other: string,
  row: number,
  column: number,
  current: readonly number[],
  last: readonly number[],
  beforeLast: readonly number[],
): number {
  const same = one[row - 1] === other[column - 1];
  const edit = Math.min(
    (last[column] as number) + 1,
    (current[column - 1] as number) + 1,
    (last[column - 1] as number) + Number(!same),
  );
  const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
  return swapped ? Math.min(edit, (beforeLast[column - 2] as number) + 1) : edit;
}

// What a proxy costs: the CPU time and the memory of its process and of all that it started.

import { readdirSync, readFileSync } from 'node:fs';

/** What /proc/PID/stat counts in, on every Linux that Node runs on. */
const MICROSECONDS_A_TICK = 10_000;

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process or thread ended meanwhile
  }
};

/** Field `number` of /proc/PID/stat as proc(5) counts them; the name in field 2 may hold spaces. */
function statField(stat: string, number: number): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[number - 3]);
}

/** The process and its descendants. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const id = Number(name);
    if (Number.isInteger(id)) parents.set(id, statField(read(`/proc/${id}/stat`), 4));
  }
  const tree = new Set([pid]);
  for (let before = 0; before !== tree.size; ) {
    before = tree.size;
    for (const [id, parent] of parents) if (tree.has(parent)) tree.add(id);
  }
  return [...tree];
}

/** Nanoseconds are in schedstat where the kernel has it; it is exact for a process that sleeps. */
function threadMicroseconds(folder: string): number {
  const [nanoseconds] = read(`${folder}/schedstat`).split(' ');
  if (nanoseconds !== undefined && nanoseconds !== '') return Number(nanoseconds) / 1000;
  const stat = read(`${folder}/stat`);
  return stat === '' ? 0 : (statField(stat, 14) + statField(stat, 15)) * MICROSECONDS_A_TICK;
}

/** User and system time of all threads of these processes so far. Threads that have ended are not in it. */
export function cpuMicroseconds(processes: readonly number[]): number {
  let sum = 0;
  for (const pid of processes) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) sum += threadMicroseconds(`/proc/${pid}/task/${thread}`);
  }
  return sum;
}

/** Proportional set size: a page that several processes share is counted once. */
export function memoryBytes(processes: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of processes) {
    const share =
      /^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`)) ?? /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`));
    kilobytes += Number(share?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

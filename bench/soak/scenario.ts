// What a scenario of the soak is: its numbers, what it measures, and how that is told.

/** A number that an option gives. */
export interface NumberOption {
  readonly otherwise: number;
  readonly says: string;
}

/** One line of the table at the end. */
export interface Finding {
  readonly what: string;
  /** Empty where the figure is only told. */
  readonly target: string;
  readonly measured: string;
  /** undefined where there is no target. */
  readonly reached: boolean | undefined;
}

export interface Setting {
  readonly numbers: Readonly<Record<string, number>>;
  readonly program: string;
  /** For the files of the gateway; removed at the end. */
  readonly folder: string;
  /** Tells how far it is. */
  readonly say: (line: string) => void;
}

export interface Scenario {
  readonly name: string;
  readonly says: string;
  readonly options: Readonly<Record<string, NumberOption>>;
  /** What is wrong with these numbers together; undefined for nothing. */
  readonly wrong?: (numbers: Readonly<Record<string, number>>) => string | undefined;
  readonly run: (setting: Setting) => Promise<Finding[]>;
}

export const told = (what: string, measured: string): Finding => ({ what, target: '', measured, reached: undefined });

export const atMost = (what: string, most: number, measured: number, unit = ''): Finding => ({
  what,
  target: `at most ${most}${unit}`,
  measured: `${measured}${unit}`,
  reached: measured <= most,
});

export const exactly = (what: string, target: number | string, measured: number | string): Finding => ({
  what,
  target: String(target),
  measured: String(measured),
  reached: target === measured,
});

const verdict = ({ reached }: Finding): string => (reached === undefined ? '' : reached ? 'reached' : 'missed');

/** The findings as a table: what | target | measured | reached or missed. */
export function tableOf(findings: readonly Finding[]): string {
  const rows = [
    ['what', 'target', 'measured', 'verdict'],
    ...findings.map((one) => [one.what, one.target, one.measured, verdict(one)]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')}\n`).join('');
}

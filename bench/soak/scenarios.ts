// The scenarios of the soak besides its waves: which there are, and one run by its options.

import { parseArgs } from 'node:util';
import { drainScenario } from './drain-scenario.ts';
import { idleScenario } from './idle-scenario.ts';
import { type Scenario, type Setting, tableOf } from './scenario.ts';
import { stormScenario } from './storm-scenario.ts';

export const scenarios: readonly Scenario[] = [idleScenario, drainScenario, stormScenario];

/** For --help: each with its options. */
export const scenariosUsage = scenarios
  .map(({ name, says, options }) => {
    const lines = Object.entries(options).map(
      ([option, { otherwise, says: about }]) => `      ${`--${option} N`.padEnd(18)}${about} (default ${otherwise})\n`,
    );
    return `  ${name.padEnd(10)}${says}\n${lines.join('')}`;
  })
  .join('');

function named(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  const names = ['waves', ...scenarios.map((scenario) => scenario.name)].join(', ');
  if (found === undefined) throw new Error(`no scenario "${name}"; there are ${names}`);
  return found;
}

function positive(value: string, option: string): number {
  const number = value === '' ? Number.NaN : Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${option} takes a whole number above 0, not "${value}"`);
  return number;
}

/** All that is given. Throws for what this scenario does not know. */
function given({ name, options }: Scenario, args: readonly string[]): Map<string, string> {
  const known = [...Object.keys(options), ...('seconds' in options ? ['minutes'] : []), 'gateway', 'scenario'];
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(known.map((option) => [option, { type: 'string' as const }])),
    strict: false,
    tokens: true,
  });
  const values = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    const word = token.kind === 'option' ? token.rawName : token.value;
    if (token.kind !== 'option' || !known.includes(token.name))
      throw new Error(
        `the scenario "${name}" does not take ${word}; it takes ${known.map((one) => `--${one}`).join(', ')}`,
      );
    values.set(token.name, token.value ?? '');
  }
  return values;
}

function numbersOf(scenario: Scenario, values: ReadonlyMap<string, string>): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [option, { otherwise }] of Object.entries(scenario.options)) {
    const value = values.get(option);
    numbers[option] = value === undefined ? otherwise : positive(value, option);
  }
  const minutes = values.get('minutes');
  if (minutes === undefined) return numbers;
  if (values.has('seconds')) throw new Error('--minutes and --seconds exclude each other');
  return { ...numbers, seconds: positive(minutes, 'minutes') * 60 };
}

/** Runs it, and prints its table. Whether all targets were reached. Throws for options that make no sense. */
export async function runScenario(
  name: string,
  args: readonly string[],
  setting: Omit<Setting, 'numbers'>,
): Promise<boolean> {
  const scenario = named(name);
  const values = given(scenario, args);
  const numbers = numbersOf(scenario, values);
  const wrong = scenario.wrong?.(numbers);
  if (wrong !== undefined) throw new Error(wrong);
  const findings = await scenario.run({ ...setting, numbers, program: values.get('gateway') ?? setting.program });
  process.stdout.write(tableOf(findings));
  return findings.every(({ reached }) => reached !== false);
}

// \p{…} of PCRE: which bytes have a property of Unicode, as members of a class.

/** PCRE's own names, in JavaScript's. */
const OWN: Readonly<Record<string, string>> = {
  Any: '[^]',
  'L&': '[\\p{Lu}\\p{Ll}\\p{Lt}]',
  Xan: '[\\p{L}\\p{N}]',
  Xps: '\\s',
  Xsp: '\\s',
  Xwd: '[\\p{L}\\p{N}_]',
};

/** undefined: there is no such property. */
function patternOf(name: string): RegExp | undefined {
  const candidates = Object.hasOwn(OWN, name) ? [OWN[name] as string] : [`\\p{${name}}`, `\\p{Script=${name}}`];
  for (const source of candidates) {
    try {
      return new RegExp(source, 'u');
    } catch {
      // The next way to write it.
    }
  }
  return undefined;
}

const code = (value: number): string => `\\x${value.toString(16).padStart(2, '0')}`;

/**
 * The bytes that have a property, taken for the characters of Latin-1, as PCRE does without UTF mode.
 * @param name as in `\p{NAME}`: `L`, `Lu`, `Greek`, `L&`; with `^` before it those that do not have it
 * @returns ranges for a class; '' where no byte is meant; undefined where there is no such property
 */
export function bytesWithProperty(name: string, negated: boolean): string | undefined {
  const isComplement = negated !== name.startsWith('^');
  const pattern = patternOf(name.replace(/^\^/, ''));
  if (pattern === undefined) return undefined;
  let ranges = '';
  for (let value = 0; value < 256; value++) {
    const first = value;
    while (value < 256 && pattern.test(String.fromCharCode(value)) !== isComplement) value++;
    if (value > first) ranges += value - first === 1 ? code(first) : `${code(first)}-${code(value - 1)}`;
  }
  return ranges;
}

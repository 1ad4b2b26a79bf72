// docs/directives.md: every directive and variable, as the tables of the modules declare them.

import type { DirectiveSpec } from '../src/config/directive.ts';
import type { Module } from '../src/directives/module.ts';

type Entry = readonly [name: string, spec: DirectiveSpec];

const HEAD = `# Directives

Written by \`npm run docs\` from the tables in \`src/directives/\`; do not edit. Each module follows the page of nginx's
documentation that it names: what is not said here is as it is there, for nginx 1.31. What differs on purpose, with the
reason, stands in [differences-from-nginx.md](differences-from-nginx.md).

- *Context* is where a directive may stand. A deeper level takes from the one above what it does not set itself.
- *Since* is the nginx version that brought it, where that is newer than 1.22.
- Directives *without effect* are read and checked, so that real configurations load; they only tune what nginx has inside.
`;

/** The whole page; the same modules always make the same text. */
export function directivesPage(modules: readonly Module[]): string {
  const shown = modules.filter((module) => entriesOf(module).length > 0 || Object.keys(module.variables).length > 0);
  const contents = shown.map((module) => `- [${module.name}](#${module.name}): ${summary(module)}\n`);
  return `${HEAD}\n${contents.join('')}${shown.map(section).join('')}`;
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

function entriesOf(module: Module): Entry[] {
  return Object.entries(module.directives).sort(byName);
}

const hasEffect = ([, spec]: Entry): boolean => spec.effect !== 'no effect';

function summary(module: Module): string {
  const directives = entriesOf(module).length;
  const variables = Object.keys(module.variables).length;
  const parts = [counted(directives, 'directive'), counted(variables, 'variable')].filter((part) => part !== '');
  return parts.join(', ');
}

function counted(count: number, what: string): string {
  if (count === 0) return '';
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function section(module: Module): string {
  const entries = entriesOf(module);
  const doc = module.doc.startsWith('https://') ? `nginx: [${pageName(module.doc)}](${module.doc})` : module.doc;
  return [
    `\n## ${module.name}\n\n${doc}\n`,
    ...entries.filter(hasEffect).map(directive),
    withoutEffect(entries.filter((entry) => !hasEffect(entry))),
    variables(module),
  ].join('');
}

/** `https://nginx.org/en/docs/http/ngx_http_log_module.html#x` → `ngx_http_log_module` and its fragment. */
function pageName(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1).replace('.html', '');
}

function syntax([name, spec]: Entry): string {
  const head = [name, ...spec.args.map((kind) => kind.syntax)].join(' ').trim();
  return spec.block === undefined ? `${head};` : `${head} { … }`;
}

function defaultOf([name, spec]: Entry): string {
  if (spec.default === undefined) return '—';
  return `\`${`${name} ${spec.default === '' ? '""' : spec.default}`};\``;
}

const contexts = ({ in: where }: DirectiveSpec): string => where.join(', ');

function directive(entry: Entry): string {
  const [name, spec] = entry;
  const facts = [`Context: ${contexts(spec)}`, `Default: ${defaultOf(entry)}`];
  if (spec.many === true) facts.push('may stand several times');
  if (spec.since !== undefined) facts.push(`Since: ${spec.since}`);
  const differs = spec.differs === undefined ? '' : `\n**Differs from nginx.** ${spec.differs}\n`;
  const effect = spec.effect === 'notice' ? ' It has no effect, and says so each time.' : '';
  return `\n### ${name}\n\n\`\`\`nginx\n${syntax(entry)}\n\`\`\`\n\n${facts.join(' · ')}\n\n${spec.doc}${effect}\n${differs}`;
}

/** In a cell of a table a bar would end it. */
const inCell = (text: string): string => text.replaceAll('|', '\\|');

function withoutEffect(entries: readonly Entry[]): string {
  if (entries.length === 0) return '';
  const rows = entries.map(
    (entry) => `| \`${inCell(syntax(entry))}\` | ${contexts(entry[1])} | ${inCell(entry[1].doc)} |\n`,
  );
  return `\n### Without effect\n\n| directive | context | why |\n| --- | --- | --- |\n${rows.join('')}`;
}

function variables(module: Module): string {
  const names = Object.keys(module.variables).sort();
  if (names.length === 0) return '';
  const listed = names.map((name) => `\`$${name.replace('*', 'NAME')}\``).join(', ');
  return `\n### Variables of ${module.name}\n\n${listed}\n`;
}

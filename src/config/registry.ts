// All declared directives, looked up by name and context; and what to say of a name that is not there.

import { absentModule } from './absent-directives.ts';
import { type ArgumentCount, argumentCount } from './arguments.ts';
import type { Context, DirectiveSpec, DirectiveTable } from './directive.ts';
import { nearestName } from './nearest-name.ts';

/** What of a module the registry needs. */
export interface DeclaringModule {
  readonly name: string;
  readonly directives: DirectiveTable;
}

/** One declaration of one module. */
export interface Declaration {
  readonly module: string;
  readonly name: string;
  readonly spec: DirectiveSpec;
  readonly count: ArgumentCount;
}

/** A mistake in a name, in nginx's words, and the mend. */
export interface NameProblem {
  readonly message: string;
  readonly mend: string | undefined;
}

export class Registry {
  readonly #byName = new Map<string, Declaration[]>();
  readonly #byContext = new Map<Context, Map<string, Declaration>>();
  /** In nginx's spelling: `ngx_http_proxy_module`. */
  readonly #modules = new Set<string>();
  /** Names of the top-level blocks without which there is no configuration. */
  readonly required: readonly string[];

  /** `required`: as nginx demands `events`. Where two modules declare a name for one context, the first one counts. */
  constructor(modules: readonly DeclaringModule[], options: { readonly required?: readonly string[] } = {}) {
    this.required = options.required ?? [];
    for (const { name: module, directives } of modules) {
      this.#modules.add(module.startsWith('ngx_') ? module : `ngx_${module}_module`);
      for (const [name, spec] of Object.entries(directives)) {
        this.#declare({ module, name, spec, count: argumentCount(spec.args) });
      }
    }
  }

  #declare(declaration: Declaration): void {
    const known = this.#byName.get(declaration.name);
    if (known === undefined) this.#byName.set(declaration.name, [declaration]);
    else known.push(declaration);
    for (const context of declaration.spec.in) {
      const names = this.#namesIn(context);
      if (!names.has(declaration.name)) names.set(declaration.name, declaration);
    }
  }

  #namesIn(context: Context): Map<string, Declaration> {
    const known = this.#byContext.get(context);
    if (known !== undefined) return known;
    const names = new Map<string, Declaration>();
    this.#byContext.set(context, names);
    return names;
  }

  /** The declaration that holds for a name in a context. */
  find(name: string, context: Context): Declaration | undefined {
    return this.#byContext.get(context)?.get(name) ?? this.#byContext.get('any')?.get(name);
  }

  /** All declarations of a name, wherever it may stand. */
  declarations(name: string): readonly Declaration[] {
    return this.#byName.get(name) ?? [];
  }

  /** Every declaration, in the order of the modules. */
  get all(): readonly Declaration[] {
    return [...this.#byName.values()].flat();
  }

  /** Why a name may not stand in a context. Only for one that `find` did not find. */
  explain(name: string, context: Context): NameProblem {
    const declarations = this.declarations(name);
    if (declarations.length > 0) return misplaced(name, declarations);
    const module = absentModule(name);
    if (module !== undefined) return absent(name, module, this.#modules.has(module));
    return { message: `unknown directive "${name}"`, mend: strayBrace(name) ?? this.#suggestion(name, context) };
  }

  #suggestion(name: string, context: Context): string | undefined {
    const here = this.#byContext.get(context)?.keys() ?? [];
    const nearest = nearestName(name, here) ?? nearestName(name, this.#byName.keys());
    return nearest === undefined ? undefined : `did you mean "${nearest}"?`;
  }

  /**
   * The blocks around a directive, from the outside: `['http', 'server']` for a `location`. The shortest way from the top
   * level to a place where the name is allowed; undefined where there is none.
   */
  wayTo(name: string): readonly string[] | undefined {
    const allowed = new Set(this.declarations(name).flatMap(({ spec }) => spec.in));
    const seen = new Set<Context>(['main']);
    let ways: { context: Context; names: string[] }[] = [{ context: 'main', names: [] }];
    while (ways.length > 0) {
      const arrived = ways.find(({ context }) => allowed.has(context));
      if (arrived !== undefined) return arrived.names;
      ways = ways.flatMap((way) => this.#onwards(way, seen));
    }
    return undefined;
  }

  #onwards(way: { context: Context; names: string[] }, seen: Set<Context>): { context: Context; names: string[] }[] {
    const next = [];
    for (const [name, { spec }] of this.#byContext.get(way.context) ?? []) {
      const inside = spec.block;
      if (inside === undefined || inside === 'raw' || seen.has(inside)) continue;
      seen.add(inside);
      next.push({ context: inside, names: [...way.names, name] });
    }
    return next;
  }
}

/** What is left of `location ~ ^/a{2}$ {`: nginx took the brace for the beginning of a block. */
function strayBrace(name: string): string | undefined {
  return name.includes('}') ? 'a regular expression with "{" or ";" must stand in quotes' : undefined;
}

const PLACES: Readonly<Record<Context, string>> = {
  main: 'the top level',
  events: '"events"',
  http: '"http"',
  server: '"server"',
  'server if': '"if" in a server',
  location: '"location"',
  if: '"if" in a location',
  limit_except: '"limit_except"',
  upstream: '"upstream"',
  any: 'any block',
};

function misplaced(name: string, declarations: readonly Declaration[]): NameProblem {
  const places = [...new Set(declarations.flatMap(({ spec }) => spec.in))].map((context) => PLACES[context]);
  const mend = `it belongs in ${enumerated(places)}`;
  return { message: `"${name}" directive is not allowed here`, mend };
}

function enumerated(places: readonly string[]): string {
  const [last, ...before] = places.toReversed();
  return before.length === 0 ? `${last}` : `${before.toReversed().join(', ')} or ${last}`;
}

function absent(name: string, module: string, moduleIsHere: boolean): NameProblem {
  const message = moduleIsHere
    ? `"${name}" is a directive of ${module} that sockgate does not have`
    : `"${name}" belongs to ${module}, which sockgate does not have`;
  return { message, mend: undefined };
}

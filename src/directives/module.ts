// What a module is: the directives and variables of one page of nginx's documentation, and what they make of each level.

import type { DirectiveTable, SetOf } from '../config/directive.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { HttpDraft, Level, LocationDraft, ServerDraft, SnapshotDraft, UpstreamDraft } from './draft.ts';

/** What a module does with one level: `set` has its directives as they are in force there. */
type Build<D extends DirectiveTable, Draft> = (set: SetOf<D>, draft: Draft, level: Level) => void;

/** The value of a variable. `rest` is what follows the prefix where the name ends in `*`, else ''. */
export type VariableGetter = (exchange: Exchange, rest: string) => string | undefined;

/** Gives a variable another value. */
export type VariableSetter = (exchange: Exchange, value: string) => void;

export interface ModuleParts<D extends DirectiveTable> {
  readonly directives: D;
  /** Variables by name; a name that ends in `*` stands for all that begin so, and its getter is given the rest. */
  readonly variables?: Readonly<Record<string, VariableGetter>>;
  /** Of those, what `set` may give another value, by name. */
  readonly settable?: Readonly<Record<string, VariableSetter>>;
  /** Of the variables, those that the configuration may define anew (`map`), by name. */
  readonly changeable?: readonly string[];
  /** One sentence on the module for the docs, with the page it follows. */
  readonly doc: string;
  /** Whether nginx builds it unless told otherwise (`--without-…`), or only when told to (`--with-…`); for -V. */
  readonly nginx?: 'default' | 'optional';
  readonly main?: Build<D, SnapshotDraft>;
  readonly events?: Build<D, SnapshotDraft>;
  readonly http?: Build<D, HttpDraft>;
  readonly upstream?: Build<D, UpstreamDraft>;
  readonly server?: Build<D, ServerDraft>;
  readonly location?: Build<D, LocationDraft>;
}

/** A module with the types of its directives forgotten, so that all of them fit into one list. */
export interface Module {
  /** As in nginx: `http_proxy` for ngx_http_proxy_module. */
  readonly name: string;
  readonly directives: DirectiveTable;
  readonly variables: Readonly<Record<string, VariableGetter>>;
  readonly settable: Readonly<Record<string, VariableSetter>>;
  readonly changeable: readonly string[];
  readonly doc: string;
  readonly nginx: 'default' | 'optional' | undefined;
  readonly main: Build<DirectiveTable, SnapshotDraft> | undefined;
  readonly events: Build<DirectiveTable, SnapshotDraft> | undefined;
  readonly http: Build<DirectiveTable, HttpDraft> | undefined;
  readonly upstream: Build<DirectiveTable, UpstreamDraft> | undefined;
  readonly server: Build<DirectiveTable, ServerDraft> | undefined;
  readonly location: Build<DirectiveTable, LocationDraft> | undefined;
}

/** Declares a module: the types of what its functions are given come from its table. */
export function nginxModule<const D extends DirectiveTable>(name: string, parts: ModuleParts<D>): Module {
  // The walk hands each function the set that was made from this very table; only the list of modules cannot know.
  const { main, events, http, upstream, server, location } = parts as unknown as Module;
  return {
    name,
    directives: parts.directives,
    variables: parts.variables ?? {},
    settable: parts.settable ?? {},
    changeable: parts.changeable ?? [],
    doc: parts.doc,
    nginx: parts.nginx,
    main,
    events,
    http,
    upstream,
    server,
    location,
  };
}

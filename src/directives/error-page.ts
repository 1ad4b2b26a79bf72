// error_page: which page answers for which errors, and with which status.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';
import { template } from '../config/values.ts';
import type { ErrorPage } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';

export interface WrittenErrorPage {
  readonly statuses: readonly number[];
  /** `=200`; 0 for a bare `=`. */
  readonly overwrite: number | undefined;
  readonly target: Template;
}

/** `404 403 =200 /page`: statuses, perhaps `=` or `=status`, and where to go. */
export const errorPageKind: Kind<'page', WrittenErrorPage> = {
  name: 'page',
  syntax: 'code ... [=[response]] uri',
  takes: 'rest',
  parse: (args, directive) => {
    if (args.length < 2) throw new ConfigError(`invalid number of arguments in "${directive}" directive`, args[0]?.at);
    const before = args.slice(0, -1);
    const response = before.at(-1) as Argument;
    const changes = response.text.startsWith('=');
    if (changes && before.length === 1) throw new ConfigError(`invalid value "${response.text}"`, response.at);
    return {
      statuses: (changes ? before.slice(0, -1) : before).map(readStatus),
      overwrite: changes ? readResponse(response) : undefined,
      target: template('uri').parse(args.slice(-1), directive),
    };
  },
};

/** The client has gone: there is nobody to show a page to. */
const CLIENT_CLOSED = 499;

function readStatus({ text, at }: Argument): number {
  const status = parseNumber(text);
  if (status === undefined || status === CLIENT_CLOSED) throw new ConfigError(`invalid value "${text}"`, at);
  if (status >= 300 && status <= 599) return status;
  throw new ConfigError(`value "${text}" must be between 300 and 599`, at);
}

function readResponse({ text, at }: Argument): number {
  const status = text === '=' ? 0 : parseNumber(text.slice(1));
  if (status === undefined) throw new ConfigError(`invalid value "${text}"`, at);
  return status;
}

/** nginx's own statuses, of which a client is never told: to it they are 400. */
const TOLD_AS_400: ReadonlySet<number> = new Set([494, 495, 496, 497]);

export function compileErrorPages(written: readonly WrittenErrorPage[], workshop: Workshop): ErrorPage[] {
  return written.flatMap(({ statuses, overwrite, target }) => {
    const page = { statuses, overwrite, target: workshop.text(target) };
    if (overwrite !== undefined || !statuses.some((status) => TOLD_AS_400.has(status))) return [page];
    const others = statuses.filter((status) => !TOLD_AS_400.has(status));
    return [
      { ...page, statuses: others },
      { ...page, statuses: [...TOLD_AS_400].filter((one) => statuses.includes(one)), overwrite: 400 },
    ];
  });
}

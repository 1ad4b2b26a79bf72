// log_format: a line with variables, compiled once.
// https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format

import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate, type TemplatePart, type VariableSlot } from '../config/template.ts';
import type { Argument } from '../config/tree.ts';
import { type Escape, escapeDefault, escapeJson, escapeNone } from '../diagnostics/access-log.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';

/** The whole line, without its newline, as a byte string. */
export type LogFormat = (exchange: Exchange) => string;

const ESCAPES: Readonly<Record<string, Escape>> = {
  'escape=default': escapeDefault,
  'escape=json': escapeJson,
  'escape=none': escapeNone,
};

/** @param strings the arguments behind the name: perhaps `escape=`, then the pieces of the line, put together as they are */
export function compileLogFormat(strings: readonly Argument[], workshop: Workshop): LogFormat {
  const [first] = strings;
  if (first === undefined || !first.text.startsWith('escape=')) return compileLine(strings, escapeDefault, workshop);
  const chosen = ESCAPES[first.text];
  if (chosen === undefined) throw new ConfigError(`unknown log format escaping "${first.text.slice(7)}"`, first.at);
  return compileLine(strings.slice(1), chosen, workshop);
}

type Piece = string | VariableSlot<Exchange>;

/** A variable without a value is `-`, or with `escape=json` and `none` nothing: nginx's rule. */
function compileLine(strings: readonly Argument[], escaping: Escape, workshop: Workshop): LogFormat {
  const missing = escaping === escapeDefault ? '-' : '';
  const pieces = strings.flatMap((string) => partsOf(string).map((part) => pieceOf(part, string, workshop)));
  return (exchange) => {
    let line = '';
    for (const piece of pieces)
      line += typeof piece === 'string' ? piece : shown(piece.get(exchange), escaping, missing);
    return line;
  };
}

/** nginx reads variables of a format with eyes of its own, and other words. */
function partsOf({ text, at }: Argument): readonly TemplatePart[] {
  const stray = /\$(?![A-Za-z0-9_{]).*|\$\{(?:$|\}).*/s.exec(text);
  if (stray !== null) throw new ConfigError(`invalid parameter "${stray[0]}"`, at);
  return parseTemplate(text, at).parts;
}

function pieceOf(part: TemplatePart, { at }: Argument, workshop: Workshop): Piece {
  if (typeof part === 'string') return byteString(part);
  // There is no expression whose captures a line of the log could mean.
  return workshop.variables.slot(
    'capture' in part ? `${part.capture}` : part.variable,
    'capture' in part ? at : part.at,
  );
}

function shown(value: string | undefined, escaping: Escape, missing: string): string {
  return value === undefined ? missing : escaping(value);
}

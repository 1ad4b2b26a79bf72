// websocket_allow_origin: how origins are written in a configuration, and what the lines of a level mean together.

import { ConfigError, type Warn } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import type { Argument } from '../config/tree.ts';
import { argument } from '../config/values.ts';
import type { WebSocketSettings } from '../exchange/websocket-settings.ts';
import { admitsOrigin, type NamedOrigin, type OriginRule } from '../websocket/origin-rules.ts';

/** One argument. `none` and `required` say what of a handshake without an origin. */
export type WrittenOrigin = 'off' | 'none' | 'required' | OriginRule;

const SYNTAX = 'off | self | [scheme://]name[:port] | *.name | ~regex | null | none | required';

export const originKind = argument('origin', SYNTAX, readOrigin);

function readOrigin(text: string, { at }: Argument, _directive: string, warn: Warn): WrittenOrigin {
  if (text === 'off' || text === 'none' || text === 'required') return text;
  if (text === 'self' || text === 'null') return { kind: text };
  if (!text.startsWith('~')) return readName(text);
  const source = text.slice(1);
  if (source === '') throw new ConfigError('empty regex in "~"');
  const { regexp } = compilePattern(source, { insensitive: true, at });
  if (!source.startsWith('^') || !source.endsWith('$'))
    warn(`"${text}" fits longer origins, too: an expression for origins should begin with "^" and end with "$"`, at);
  return { kind: 'pattern', pattern: regexp };
}

const WRITTEN = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.|\.)?(\[[^\]]+\]|[^\s:/?#@[\]*,]+)(?::(\d{1,5}|\*))?$/i;

function readName(text: string): NamedOrigin {
  const parts = WRITTEN.exec(text);
  const host = parts === null ? undefined : asBrowsersWrite(parts[3] as string);
  if (parts === null || host === undefined) throw invalid(text);
  const [, scheme, below, , port] = parts;
  if (port !== undefined && port !== '*' && (Number(port) === 0 || Number(port) > 65_535)) throw invalid(text);
  return {
    kind: 'name',
    scheme: scheme?.toLowerCase(),
    host,
    which: below === '*.' ? 'below' : below === '.' ? 'both' : 'itself',
    port: port === undefined ? undefined : port === '*' ? 'any' : Number(port),
  };
}

function invalid(text: string): ConfigError {
  const mend =
    text === '*'
      ? 'every origin is allowed by "off"'
      : 'an origin has neither a path nor a variable: "https://name:port"';
  return new ConfigError(`invalid origin "${text}"`, undefined, { mend });
}

/** In lower case, other letters than ASCII's in punycode; undefined: that is no host. */
function asBrowsersWrite(host: string): string | undefined {
  if (host.includes('$') || host.endsWith('.')) return undefined;
  return URL.parse(`http://${host}/`)?.hostname;
}

/**
 * What all lines of a level mean together; undefined: any origin is allowed.
 * @throws ConfigError without a place
 */
export function originTest(lines: readonly (readonly WrittenOrigin[])[]): WebSocketSettings['allowsOrigin'] {
  const written = lines.flat();
  const rules = written.filter((one): one is OriginRule => typeof one !== 'string');
  if (written.includes('off') && written.length > 1)
    throw new ConfigError('"off" allows every origin: nothing can stand beside it');
  if (written.includes('none') && written.includes('required'))
    throw new ConfigError('"none" and "required" contradict each other');
  if (written.length === 0 || written.includes('off')) return undefined;
  if (rules.length === 0) throw new ConfigError('no origin is named that is allowed');
  const admitsNone = !written.includes('required');
  return (asked) => admitsOrigin(rules, admitsNone, asked);
}

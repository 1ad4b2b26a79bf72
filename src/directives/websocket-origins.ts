// websocket_allow_origin: how origins are written in a configuration, and what the lines of a level mean together.

import { ConfigError, type Warn } from '../config/errors.ts';
import { nearestName } from '../config/nearest-name.ts';
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

const WRITTEN = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.|\.)?(\[[^\]]+\]|[^\s:/?#@[\]*,]+)(?::(\d+|\*))?$/i;
/** An origin of one word that is nearly one of these is a slip of the finger. */
const KEYWORDS = ['off', 'self', 'null', 'none', 'required'];
const PAGE_SCHEMES = ['http', 'https'];

function readName(text: string): NamedOrigin {
  const parts = WRITTEN.exec(text);
  const host = parts === null ? undefined : asBrowsersWrite(parts[3] as string);
  if (parts === null || host === undefined) throw invalid(text);
  const [, scheme, below, , port] = parts;
  if (port !== undefined && port !== '*' && (Number(port) === 0 || Number(port) > 65_535))
    throw invalid(text, 'a port is a number from 1 to 65535, or "*"');
  if (scheme !== undefined) checkScheme(text, scheme.toLowerCase());
  const keyword = text === parts[3] ? nearestName(text, KEYWORDS) : undefined;
  if (keyword !== undefined)
    throw invalid(text, `did you mean "${keyword}"? A host of that name is written with its scheme: "https://${text}"`);
  return {
    kind: 'name',
    scheme: scheme?.toLowerCase(),
    host,
    which: below === '*.' ? 'below' : below === '.' ? 'both' : 'itself',
    port: port === undefined ? undefined : port === '*' ? 'any' : Number(port),
  };
}

/** Applications have schemes of their own (`capacitor`, `moz-extension`), but none that is nearly a page's. */
function checkScheme(text: string, scheme: string): void {
  if (PAGE_SCHEMES.includes(scheme)) return;
  const meant = scheme === 'ws' ? 'http' : scheme === 'wss' ? 'https' : nearestName(scheme, PAGE_SCHEMES);
  if (meant === undefined) return;
  throw invalid(text, `did you mean "${meant}${text.slice(scheme.length)}"? An origin is that of a page`);
}

function invalid(text: string, mend = mendOf(text)): ConfigError {
  return new ConfigError(`invalid origin "${text}"`, undefined, { mend });
}

function mendOf(text: string): string {
  if (text === '*') return 'every origin is allowed by "off"';
  if (text.endsWith('://*')) return `every host by one scheme is "~^${text.slice(0, -1)}.+$"`;
  return 'an origin has neither a path nor a variable: "https://name:port"';
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

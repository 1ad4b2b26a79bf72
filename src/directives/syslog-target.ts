// `syslog:server=…,facility=…` of error_log and access_log.
// https://nginx.org/en/docs/syslog.html

import { AddressError, parseAddress } from '../addresses.ts';
import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import { LEVELS } from '../diagnostics/error-log.ts';
import { FACILITIES, type SyslogTarget } from '../diagnostics/syslog.ts';
import type { Workshop } from './draft.ts';

const PREFIX = 'syslog:';
const DEFAULT_PORT = 514;
const LONGEST_TAG = 32;

type Where = Pick<SyslogTarget, 'address' | 'port' | 'family'>;
type Given = Partial<{ -readonly [Key in keyof Omit<SyslogTarget, keyof Where>]: SyslogTarget[Key] }> & {
  server?: string;
};

export function isSyslog(file: string): boolean {
  return file.startsWith(PREFIX);
}

/**
 * Reads what stands in the place of a file.
 * @returns undefined while the host of the server is not known yet
 * @throws ConfigError
 */
export function readSyslog(file: string, at: Position, workshop: Workshop): SyslogTarget | undefined {
  const given: Given = {};
  for (const parameter of file.slice(PREFIX.length).split(',')) take(parameter, given, at);
  if (given.server === undefined) throw new ConfigError('no syslog server specified', at);
  const where = findServer(given.server, at, workshop);
  if (where === undefined) return undefined;
  const { facility = 'local7', severity = 'info', tag = 'nginx', withHostname = true } = given;
  return { ...where, facility, severity, tag, withHostname };
}

function take(parameter: string, given: Given, at: Position): void {
  const equals = parameter.indexOf('=');
  const value = parameter.slice(equals + 1);
  const name = equals < 0 ? '' : parameter.slice(0, equals);
  if (name === 'server') given.server = once(given.server, name, value, at);
  else if (name === 'facility') given.facility = once(given.facility, name, oneOf(FACILITIES, name, value, at), at);
  else if (name === 'severity') given.severity = once(given.severity, name, oneOf(LEVELS, name, value, at), at);
  else if (name === 'tag') given.tag = once(given.tag, name, checkTag(value, at), at);
  else if (parameter === 'nohostname') given.withHostname = false;
  else throw new ConfigError(`unknown syslog parameter "${parameter}"`, at);
}

function once<T>(former: T | undefined, name: string, value: T, at: Position): T {
  if (former === undefined) return value;
  throw new ConfigError(`duplicate syslog "${name}"`, at);
}

function oneOf<Word extends string>(words: readonly Word[], name: string, text: string, at: Position): Word {
  const known = words.find((word) => word === text);
  if (known !== undefined) return known;
  throw new ConfigError(`unknown syslog ${name} "${text}"`, at, { mend: `it is one of ${words.join(', ')}` });
}

function checkTag(tag: string, at: Position): string {
  if (tag.length > LONGEST_TAG) throw new ConfigError(`syslog tag length exceeds ${LONGEST_TAG}`, at);
  if (/^\w*$/.test(tag)) return tag;
  throw new ConfigError('syslog "tag" only allows alphanumeric characters and underscore', at);
}

function findServer(text: string, at: Position, workshop: Workshop): Where | undefined {
  const { family, host, port } = parseServer(text, at);
  if (family === 'ipv4' || family === 'ipv6') return { address: host, port, family };
  if (family === 'unix') {
    const mend = 'let the daemon listen on UDP, such as server=127.0.0.1';
    throw new ConfigError(`syslog server "${text}": Node has no datagram sockets of that kind`, at, { mend });
  }
  const found = workshop.lookUp(host);
  if (found === undefined) return undefined;
  const [first] = found;
  if (first === undefined) throw new ConfigError(`host not found in syslog server "${text}"`, at);
  return { address: first, port, family: first.includes(':') ? 'ipv6' : 'ipv4' };
}

function parseServer(text: string, at: Position): ReturnType<typeof parseAddress> {
  try {
    return parseAddress(text, { defaultPort: DEFAULT_PORT });
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new ConfigError(`${error.message} in syslog server "${text}"`, at);
  }
}

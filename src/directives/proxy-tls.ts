// proxy_ssl_…: TLS on the way to the upstream.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_verify

import { createHash } from 'node:crypto';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import { flag, integer, path, someOf, template, word } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import type { ConnectionSettings } from '../upstream/connection-settings.ts';
import { type TlsProtocol, UpstreamTls, type UpstreamTlsSettings } from '../upstream/upstream-tls.ts';
import type { CertificateCache } from './certificate-cache.ts';
import { certificateCacheKind, certificateCacheOf } from './certificate-cache-kind.ts';
import { CertificateError, type CertificatePair, loadPair, readPasswords } from './certificate-pair.ts';
import type { Level, LocationDraft, Workshop } from './draft.ts';
import { noteOf } from './note-of.ts';
import { type OpensslEffects, opensslEffects } from './openssl-commands.ts';
import { readPem } from './written-file.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

export const proxyTlsDirectives = directives({
  proxy_ssl_certificate: {
    in: SETTINGS,
    args: [template('file')],
    doc: 'The certificate (PEM) that is shown to the upstream, with its chain behind it: a file, relative to the folder of the configuration file, or `data:` and the PEM itself. With variables it is read for each connection. Empty: none.',
  },
  proxy_ssl_certificate_cache: {
    in: SETTINGS,
    args: [certificateCacheKind],
    default: 'off',
    doc: 'Remembers up to `max` certificates and keys whose names have variables: forgotten when not used for `inactive` (10 s), looked at again after `valid` (60 s).',
    since: '1.27.4',
  },
  proxy_ssl_certificate_key: {
    in: SETTINGS,
    args: [template('file')],
    doc: "The certificate's private key (PEM), as `proxy_ssl_certificate`.",
    differs: 'No `engine:` and no `store:`.',
  },
  proxy_ssl_ciphers: {
    in: SETTINGS,
    args: [word('ciphers')],
    default: 'DEFAULT',
    doc: 'The ciphers offered to the upstream, as OpenSSL writes them.',
  },
  proxy_ssl_conf_command: {
    in: SETTINGS,
    args: [word('name'), word('value')],
    many: true,
    doc: 'A command of OpenSSL for these connections: `Certificate`, `PrivateKey`, `CipherString`, `Ciphersuites`, `Groups`, `SignatureAlgorithms`, `MinProtocol`, `MaxProtocol`, `Protocol`, `Options`.',
    differs: 'Other commands have no effect, which a warning says: Node has no way to set them.',
  },
  proxy_ssl_crl: {
    in: SETTINGS,
    args: [path('file')],
    doc: 'Lists of revoked certificates (PEM) for `proxy_ssl_verify`: one for each authority of the chain.',
  },
  proxy_ssl_key_log: {
    in: SETTINGS,
    args: [path('file')],
    doc: 'The keys of these connections are written here, as Wireshark reads them: whoever can read it can read the traffic. Relative to the prefix.',
    since: '1.27.2',
  },
  proxy_ssl_name: {
    in: SETTINGS,
    args: [template('name')],
    default: '$proxy_host',
    doc: "The name that the upstream's certificate must bear, and that is sent as SNI.",
  },
  proxy_ssl_password_file: {
    in: SETTINGS,
    args: [path('file')],
    doc: 'Passphrases for private keys, one on each line, tried in turn.',
  },
  proxy_ssl_protocols: {
    in: SETTINGS,
    args: [someOf('protocol', 'SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3')],
    default: 'TLSv1.2 TLSv1.3',
    doc: 'The protocols offered to the upstream. SSLv2 and SSLv3 do not exist any more.',
  },
  proxy_ssl_server_name: { in: SETTINGS, args: [flag], default: 'off', doc: 'Whether the name is sent (SNI).' },
  proxy_ssl_session_reuse: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether TLS sessions with the upstream are resumed.',
  },
  proxy_ssl_trusted_certificate: {
    in: SETTINGS,
    args: [path('file')],
    doc: "CA certificates (PEM) that the upstream's certificate is verified with.",
  },
  proxy_ssl_verify: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: "Whether the upstream's certificate is verified; without it anybody could answer in its place.",
  },
  proxy_ssl_verify_depth: {
    in: SETTINGS,
    args: [integer('number')],
    default: '1',
    doc: 'How many certificates may stand between its own and the CA.',
  },
});

export type ProxyTlsSet = SetOf<typeof proxyTlsDirectives>;

/** The name as SNI and certificates know it: `$proxy_host` and `$http_host` may have a port, and brackets. */
export function tlsName(name: Text): Text {
  return (exchange) => withoutPort(name(exchange));
}

function withoutPort(name: string): string {
  if (name.startsWith('[')) return name.slice(1, Math.max(name.indexOf(']'), 1));
  const colon = name.lastIndexOf(':');
  return colon < 0 ? name : name.slice(0, colon);
}

/** Whatever is wrong on a level, whether or not anything is passed on there. @throws ConfigError */
export function checkProxyTls(set: ProxyTlsSet, workshop: Workshop, level: Level): void {
  for (const name of ['proxy_ssl_name', 'proxy_ssl_certificate', 'proxy_ssl_certificate_key'] as const) {
    const value = set[name];
    // Its variables must be known.
    if (level.has(name) && value !== undefined) workshop.text(value);
  }
  const cache = set.proxy_ssl_certificate_cache;
  if (level.has('proxy_ssl_certificate_cache') && cache !== 'off' && cache.max === undefined) {
    const message = '"proxy_ssl_certificate_cache" must have the "max" parameter';
    workshop.error(message, level.at('proxy_ssl_certificate_cache'));
  }
  if (level.has('proxy_ssl_conf_command')) effectsOf(set, workshop);
  if (level.has('proxy_ssl_password_file')) passwordsOf(set, workshop, level);
}

/** What `proxy_ssl_…` come to for one location. */
export interface ProxyTls {
  /** Where the certificate is known beforehand, or there is none. */
  readonly fixed: UpstreamTls;
  /** Where its name has variables: what to use for an exchange, or why there is nothing, for the error log. */
  readonly chosen: ((exchange: Exchange) => UpstreamTls | string) | undefined;
}

export function proxyTls(set: ProxyTlsSet, draft: LocationDraft, level: Level): ProxyTls {
  const maker = new TlsMaker(set, draft, level);
  const { proxy_ssl_certificate: certificate, proxy_ssl_certificate_key: key } = set;
  if (certificate === undefined || certificate.text === '') return { fixed: maker.make(undefined), chosen: undefined };
  if (key === undefined) {
    const message = `no "proxy_ssl_certificate_key" is defined for certificate "${certificate.text}"`;
    throw new ConfigError(message, level.at('proxy_ssl_certificate'));
  }
  if (certificate.constant !== undefined && key.constant !== undefined) {
    return { fixed: maker.make(maker.readPair(certificate, key)), chosen: undefined };
  }
  return { fixed: maker.make(undefined), chosen: chooser(maker, certificate, key) };
}

/** So many certificates that variables named have connections of their own; with more, the one used longest ago goes. */
const MOST_CHOSEN = 256;

function chooser(maker: TlsMaker, certificate: Template, key: Template): (exchange: Exchange) => UpstreamTls | string {
  const { workshop } = maker;
  const certificateName = workshop.text(certificate);
  const keyName = workshop.text(key);
  const none = maker.make(undefined);
  const made = new Map<string, UpstreamTls>();
  return (exchange) => {
    const name = certificateName(exchange);
    if (name === '') return none;
    try {
      return remembered(made, maker.servedPair(name, keyName(exchange)), (pair) => maker.makeUnshared(pair));
    } catch (error) {
      if (error instanceof CertificateError) return error.message;
      return `cannot use certificate "${name.startsWith('data:') ? 'data:' : name}": ${(error as Error).message}`;
    }
  };
}

function remembered(
  made: Map<string, UpstreamTls>,
  pair: CertificatePair,
  make: (pair: CertificatePair) => UpstreamTls,
): UpstreamTls {
  const id = createHash('sha256').update(pair.certificate).update(pair.key).digest('base64');
  const tls = made.get(id) ?? make(pair);
  made.delete(id);
  made.set(id, tls);
  if (made.size > MOST_CHOSEN) made.delete(made.keys().next().value as string);
  return tls;
}

/** For each exchange the settings of its connection: one object for each certificate, for it stands for the connections that are kept with it. */
export function chosenConnection(
  settings: ConnectionSettings,
  chosen: (exchange: Exchange) => UpstreamTls | string,
): (exchange: Exchange) => ConnectionSettings | string {
  const made = new WeakMap<UpstreamTls, ConnectionSettings>();
  return (exchange) => {
    const tls = chosen(exchange);
    if (typeof tls === 'string') return tls;
    const known = made.get(tls) ?? { ...settings, tls };
    made.set(tls, known);
    return known;
  };
}

const CONTEXTS = Symbol('TLS contexts towards upstreams');

/** Makes what is wanted for one location, with the settings that it has. */
class TlsMaker {
  readonly workshop: Workshop;
  readonly #set: ProxyTlsSet;
  readonly #draft: LocationDraft;
  readonly #level: Level;
  readonly #settings: UpstreamTlsSettings;
  readonly #passwords: readonly string[];
  readonly #cache: CertificateCache;
  readonly #override: CertificatePair | undefined;

  constructor(set: ProxyTlsSet, draft: LocationDraft, level: Level) {
    const { workshop } = draft;
    this.workshop = workshop;
    this.#set = set;
    this.#draft = draft;
    this.#level = level;
    this.#passwords = passwordsOf(set, workshop, level);
    this.#cache = certificateCacheOf(set.proxy_ssl_certificate_cache, draft.server.http);
    const effects = effectsOf(set, workshop, SILENT);
    this.#settings = tlsSettings(set, draft, level, effects);
    this.#override = this.#overriding(effects);
  }

  /** One context for all locations with the same settings: sessions are shared, and memory. */
  make(pair: CertificatePair | undefined): UpstreamTls {
    const settings = this.#withPair(this.#override ?? pair);
    const contexts = noteOf(this.#draft.server.http, CONTEXTS, () => new Map<string, UpstreamTls>());
    const key = createHash('sha256').update(JSON.stringify(settings)).update(this.#keyLogPath()).digest('base64');
    const tls = contexts.get(key) ?? this.#try(settings);
    contexts.set(key, tls);
    return tls;
  }

  /** @throws {Error} OpenSSL's */
  makeUnshared(pair: CertificatePair): UpstreamTls {
    return new UpstreamTls(this.#withPair(this.#override ?? pair));
  }

  /** While the configuration is read. */
  readPair(certificate: Template, key: Template): CertificatePair {
    const { workshop } = this;
    const chain = { file: certificate.text, at: this.#level.at('proxy_ssl_certificate') };
    const secret = { file: key.text, at: this.#level.at('proxy_ssl_certificate_key') };
    return loadPair(chain, secret, this.#passwords, workshop);
  }

  /** While an exchange waits. @throws CertificateError */
  servedPair(certificate: string, key: string): CertificatePair {
    return this.#cache.pair(this.#whole(certificate), this.#whole(key), this.#passwords);
  }

  #whole(name: string): string {
    return name.startsWith('data:') ? name : this.workshop.fromConfig(name);
  }

  #overriding({ certificate, key }: OpensslEffects): CertificatePair | undefined {
    if (certificate === undefined) return undefined;
    return loadPair(certificate, key ?? certificate, this.#passwords, this.workshop);
  }

  #withPair(pair: CertificatePair | undefined): UpstreamTlsSettings {
    return pair === undefined
      ? this.#settings
      : { ...this.#settings, certificate: pair.certificate, certificateKey: pair.key };
  }

  #keyLogPath(): string {
    return this.#set.proxy_ssl_key_log ?? '';
  }

  #try(settings: UpstreamTlsSettings): UpstreamTls {
    try {
      return new UpstreamTls(settings);
    } catch (error) {
      throw new ConfigError(`proxy_ssl settings are not usable: ${(error as Error).message}`, this.#draft.at);
    }
  }
}

const SILENT = (): void => {};

/** Warnings are given where the commands stand, once. */
function effectsOf(
  set: ProxyTlsSet,
  workshop: Workshop,
  warn: (message: string, at: Position) => void = workshop.warn,
): OpensslEffects {
  return opensslEffects('proxy_ssl_conf_command', set.proxy_ssl_conf_command, set.proxy_ssl_protocols, warn);
}

function passwordsOf(
  { proxy_ssl_password_file: file }: ProxyTlsSet,
  workshop: Workshop,
  level: Level,
): readonly string[] {
  return readPasswords(file, 'proxy_ssl_password_file', workshop, level);
}

function tlsSettings(
  set: ProxyTlsSet,
  draft: LocationDraft,
  level: Level,
  effects: OpensslEffects,
): UpstreamTlsSettings {
  return {
    sendsServerName: set.proxy_ssl_server_name,
    verify: set.proxy_ssl_verify,
    verifyDepth: set.proxy_ssl_verify_depth,
    ...trust(set, draft, level),
    ciphers: set.proxy_ssl_ciphers,
    protocols: (effects.protocols as readonly TlsProtocol[] | undefined) ?? set.proxy_ssl_protocols,
    sessionReuse: set.proxy_ssl_session_reuse,
    openssl: effects.context,
    keyLog: keyLogOf(set, draft.workshop),
  };
}

/** What nobody verifies with is not read either, as in nginx. */
function trust(
  set: ProxyTlsSet,
  { workshop }: LocationDraft,
  level: Level,
): Pick<UpstreamTlsSettings, 'trusted' | 'crl'> {
  if (!set.proxy_ssl_verify) return { trusted: undefined };
  const { proxy_ssl_trusted_certificate: file, proxy_ssl_crl: crl } = set;
  if (file === undefined)
    throw new ConfigError('no proxy_ssl_trusted_certificate for proxy_ssl_verify', level.at('proxy_ssl_verify'));
  const read = (name: string, directive: string, what: string): string =>
    readPem({ file: name, at: level.at(directive) }, what, workshop);
  return {
    trusted: read(file, 'proxy_ssl_trusted_certificate', 'certificate'),
    crl: crl === undefined || crl === '' ? undefined : read(crl, 'proxy_ssl_crl', 'list of revoked certificates'),
  };
}

function keyLogOf({ proxy_ssl_key_log: file }: ProxyTlsSet, workshop: Workshop): UpstreamTlsSettings['keyLog'] {
  if (file === undefined || file === '') return undefined;
  const path = workshop.fromPrefix(file);
  workshop.logPaths.add(path);
  const log = workshop.logFiles.file(path);
  return (line) => log.write(line.toString('latin1').trimEnd());
}

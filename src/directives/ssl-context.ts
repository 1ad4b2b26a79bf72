// The context of a server's handshakes: its certificates, protocols, ciphers, curves, whom it trusts, its ticket keys.

import { constants, createHash, createPrivateKey } from 'node:crypto';
import * as tls from 'node:tls';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigError } from '../config/errors.ts';
import { contextTrusting } from '../transport/authorities.ts';
import { type TicketKeys, useTicketKeys } from '../transport/ticket-keys.ts';
import { type CertificatePair, loadPair } from './certificate-pair.ts';
import type { Level, Workshop } from './draft.ts';
import { type OpensslCommand, type OpensslEffects, opensslEffects } from './openssl-commands.ts';
import { passwordsOf } from './ssl-certificates.ts';
import { NO_TRUST, type Trust } from './ssl-verify.ts';
import { pemBlocks, readPem } from './written-file.ts';

export interface ContextSet {
  readonly ssl_protocols: readonly string[];
  readonly ssl_ciphers: string;
  readonly ssl_ecdh_curve: string;
  readonly ssl_dhparam: string | undefined;
  readonly ssl_prefer_server_ciphers: boolean;
  readonly ssl_password_file: string | undefined;
  readonly ssl_session_timeout: number;
  readonly ssl_certificate_compression: boolean;
  readonly ssl_conf_command: readonly OpensslCommand[];
}

/** What a context is made with beside its directives. */
export interface ContextParts {
  readonly trust: Trust;
  /** How sessions are told from those of servers with other certificates, or other rules for those of clients. */
  readonly identity: readonly string[];
  /** Undefined: no tickets. `random`: the process's own keys. */
  readonly tickets: TicketKeys | 'random' | undefined;
}

/** Makes contexts that differ by their certificates only. */
export class ContextMaker {
  readonly #options: SecureContextOptions;
  readonly #parts: ContextParts;
  readonly #override: CertificatePair | undefined;

  /** @throws ConfigError for whatever OpenSSL does not take, where it stands */
  constructor(set: ContextSet, parts: ContextParts, workshop: Workshop, level: Level) {
    const effects = opensslEffects('ssl_conf_command', set.ssl_conf_command, set.ssl_protocols, workshop.warn);
    this.#parts = parts;
    this.#override = overriding(effects, set, workshop, level);
    this.#options = {
      sessionTimeout: Math.max(1, Math.floor(set.ssl_session_timeout / 1000)),
      sessionIdContext: sessionContext(parts.identity),
      ...(parts.tickets === undefined ? {} : { ticketKeys: workshop.secrets.ticketKeys }),
      ...protocolOptions(set, effects, parts, level),
      ...cipherOptions(set, effects, workshop, level),
      ...(set.ssl_certificate_compression ? { certificateCompression: compressions() } : {}),
    };
  }

  /** @throws {Error} OpenSSL's */
  make(pairs: readonly CertificatePair[]): SecureContext {
    const used = lastOfEachKind(this.#override === undefined ? pairs : [this.#override]);
    const context = this.#trusting({
      ...this.#options,
      cert: used.map(({ certificate }) => certificate),
      key: used.map(({ key }) => key),
    });
    const { tickets } = this.#parts;
    if (tickets !== undefined && tickets !== 'random') useTicketKeys(context, tickets);
    return context;
  }

  #trusting(options: SecureContextOptions): SecureContext {
    const { trust } = this.#parts;
    if (trust === NO_TRUST) return createSecureContext(options);
    const { authorities, revoked } = trust;
    return contextTrusting(authorities, revoked.length === 0 ? options : { ...options, crl: [...revoked] });
  }
}

/** There is one place for each kind of key: a later certificate takes that of an earlier one. */
function lastOfEachKind(pairs: readonly CertificatePair[]): CertificatePair[] {
  if (pairs.length < 2) return [...pairs];
  return [...new Map(pairs.map((pair) => [createPrivateKey(pair.key).asymmetricKeyType, pair])).values()];
}

function overriding(
  { certificate, key }: OpensslEffects,
  set: ContextSet,
  workshop: Workshop,
  level: Level,
): CertificatePair | undefined {
  if (certificate === undefined) return undefined;
  return loadPair(certificate, key ?? certificate, passwordsOf(set, workshop, level), workshop);
}

function sessionContext(identity: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32);
}

/** Those that this Node has. */
function compressions(): string[] {
  const { getCertificateCompressionAlgorithms } = tls as { getCertificateCompressionAlgorithms?(): string[] };
  return getCertificateCompressionAlgorithms?.() ?? [];
}

// Protocols.

/** From old to new, as OpenSSL switches each of them off; what else `ssl_protocols` may name does not exist any more. */
const OFF = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
} as const;
type Version = keyof typeof OFF;
const VERSIONS = Object.keys(OFF) as Version[];

/** From the oldest to the newest version that is wanted; what lies between and is not is switched off one by one. */
function protocolOptions(
  set: ContextSet,
  { protocols = set.ssl_protocols, context, cleared }: OpensslEffects,
  { tickets, trust }: ContextParts,
  level: Level,
): SecureContextOptions {
  const wanted = VERSIONS.filter((version) => protocols.includes(version));
  const [first] = wanted;
  const last = wanted.at(-1);
  if (first === undefined || last === undefined)
    throw new ConfigError('none of these protocols exists any more', level.at('ssl_protocols'));
  let secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  for (const version of VERSIONS.slice(VERSIONS.indexOf(first), VERSIONS.indexOf(last)))
    if (!wanted.includes(version)) secureOptions |= OFF[version];
  if (tickets === undefined) secureOptions |= constants.SSL_OP_NO_TICKET;
  if (set.ssl_prefer_server_ciphers) secureOptions |= constants.SSL_OP_CIPHER_SERVER_PREFERENCE;
  secureOptions = (secureOptions | (context.secureOptions ?? 0)) & ~cleared;
  // Not even by command: a ticket cannot be taken back from a client whose chain is seen to be too long.
  const never = trust === NO_TRUST ? 0 : constants.SSL_OP_NO_TICKET;
  secureOptions |= constants.SSL_OP_NO_RENEGOTIATION | never;
  return { minVersion: first, maxVersion: last, secureOptions };
}

// Ciphers and curves.

function cipherOptions(
  set: ContextSet,
  { context }: OpensslEffects,
  workshop: Workshop,
  level: Level,
): SecureContextOptions {
  checkPart({ ciphers: set.ssl_ciphers }, 'ssl_ciphers', level);
  checkPart({ ecdhCurve: set.ssl_ecdh_curve }, 'ssl_ecdh_curve', level);
  const dhparam = dhParameters(set, workshop, level);
  const commanded = { ...context, secureOptions: undefined };
  checkPart(commanded, 'ssl_conf_command', level);
  return {
    ecdhCurve: set.ssl_ecdh_curve,
    ...(dhparam === undefined ? {} : { dhparam }),
    ...context,
    ciphers: ciphersOf(set.ssl_ciphers, context.ciphers),
  };
}

/** Suites of TLS 1.3 stand beside the others: a command for the ones leaves the others as they are. */
function ciphersOf(configured: string, commanded = ''): string {
  const parts = commanded.split(':').filter((part) => part !== '');
  return parts.some((part) => !part.startsWith('TLS_')) ? commanded : [...parts, configured].join(':');
}

function dhParameters({ ssl_dhparam: file }: ContextSet, workshop: Workshop, level: Level): string | undefined {
  if (file === undefined || file === '') return undefined;
  const at = level.at('ssl_dhparam');
  const dhparam = readPem({ file, at }, 'DH parameters', workshop);
  // Node itself would go on without them.
  if (pemBlocks(dhparam, /^(?:X9\.42 )?DH PARAMETERS$/).length === 0)
    throw new ConfigError(`PEM_read_bio_DHparams("${workshop.fromConfig(file)}") failed: there are none in it`, at);
  checkPart({ dhparam }, 'ssl_dhparam', level);
  return dhparam;
}

/** Tried alone, so that the mistake can be told where it stands. */
function checkPart(part: SecureContextOptions, directive: string, level: Level): void {
  try {
    createSecureContext(part);
  } catch (error) {
    throw new ConfigError(`"${directive}" is not usable: ${(error as Error).message}`, level.at(directive));
  }
}

// TLS towards clients: certificates, protocols, ciphers, sessions.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html

import { constants, createHash } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import { flag, path, seconds, size, someOf, word } from '../config/values.ts';
import type { TlsSettings } from '../listen/tls-settings.ts';
import type { HttpDraft, Level, ServerDraft } from './draft.ts';
import { nginxModule } from './module.ts';
import { type CertificatePairs, readCertificates, type WrittenFile } from './ssl-certificates.ts';
import { sessionCacheKinds } from './ssl-session-cache.ts';
import { sslVariables } from './ssl-variables.ts';
import { declareZone } from './zone-names.ts';

const SERVERS = ['http', 'server'] as const;
const LATER =
  'Is understood, with a warning: a client that wants to know whether the certificate was revoked asks the CA itself.';
const later = { in: SERVERS, effect: 'notice', doc: LATER } as const;

const table = directives({
  ssl_certificate: {
    in: SERVERS,
    args: [path('file')],
    many: true,
    doc: 'The certificate (PEM) and behind it its chain. Several, one for each kind of key: RSA, ECDSA. Relative to the folder of the configuration file.',
    differs: 'No variables in the name, and no `engine:` or `data:`.',
  },
  ssl_certificate_key: {
    in: SERVERS,
    args: [path('file')],
    many: true,
    doc: "The certificate's private key (PEM), in the order of the certificates.",
    differs: 'It must not be encrypted: `ssl_password_file` is not there yet.',
  },
  ssl_protocols: {
    in: SERVERS,
    args: [someOf('protocol', 'SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3')],
    default: 'TLSv1.2 TLSv1.3',
    doc: 'The protocols that clients may use. SSLv2 and SSLv3 do not exist any more.',
    differs: "Of several servers on one address each has its own, by the client's SNI.",
  },
  ssl_ciphers: {
    in: SERVERS,
    args: [word('ciphers')],
    default: 'HIGH:!aNULL:!MD5',
    doc: 'The ciphers that clients may use up to TLS 1.2, as OpenSSL writes them; those of TLS 1.3 are always there.',
  },
  ssl_prefer_server_ciphers: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: "Whether our order of ciphers counts rather than the client's.",
  },
  ssl_ecdh_curve: {
    in: SERVERS,
    args: [word('curve')],
    default: 'auto',
    doc: 'The curves for the key exchange, `:` between them; `auto`: what OpenSSL has.',
  },
  ssl_session_timeout: {
    in: SERVERS,
    args: [seconds('time')],
    default: '5m',
    doc: 'How long a session may be resumed.',
  },
  ssl_session_tickets: {
    in: SERVERS,
    args: [flag],
    default: 'on',
    doc: 'Whether sessions are resumed by tickets; every worker takes those of the others, also after a reload.',
  },
  ssl_session_cache: {
    in: SERVERS,
    args: sessionCacheKinds,
    effect: 'no effect',
    doc: 'Sessions are resumed by tickets, which need no cache.',
    differs: 'A client of TLS 1.2 that takes no tickets makes a full handshake each time.',
  },
  ssl_buffer_size: { in: SERVERS, args: [size('size')], effect: 'no effect', doc: "OpenSSL's own records are used." },
  ssl_early_data: { in: SERVERS, args: [flag], effect: 'no effect', doc: 'Node has no early data (0-RTT).' },
  ssl_dhparam: {
    in: SERVERS,
    args: [path('file')],
    effect: 'no effect',
    doc: 'Cipher suites with finite-field Diffie-Hellman are not offered.',
  },
  ssl_trusted_certificate: {
    in: SERVERS,
    args: [path('file')],
    effect: 'no effect',
    doc: 'There is nothing to verify with it: neither certificates of clients nor answers of OCSP.',
  },
  ssl_stapling: { ...later, args: [flag] },
  ssl_stapling_verify: { in: SERVERS, args: [flag], effect: 'no effect', doc: 'See `ssl_stapling`.' },
  ssl_stapling_file: { in: SERVERS, args: [path('file')], effect: 'no effect', doc: 'See `ssl_stapling`.' },
  ssl_stapling_responder: { in: SERVERS, args: [word('url')], effect: 'no effect', doc: 'See `ssl_stapling`.' },
});

type Set = SetOf<typeof table>;

export const ssl = nginxModule('http_ssl', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_ssl_module.html',
  directives: table,
  variables: sslVariables,
  http(set, http, level) {
    checkTuning(set, http, level);
  },
  server(set, draft, level) {
    checkTuning(set, draft.http, level);
    if (set.ssl_certificate.length > 0) draft.tls = tlsSettings(set, draft, level);
  },
});

/** What has no effect on this level, but may be wrong or worth a word. */
function checkTuning(set: Set, http: HttpDraft, level: Level): void {
  if (level.has('ssl_session_cache')) declareCaches(set, http);
  if (!set.ssl_stapling || !level.has('ssl_stapling')) return;
  http.workshop.warn('"ssl_stapling on" has no effect yet', level.at('ssl_stapling'));
}

function declareCaches({ ssl_session_cache: caches }: Set, http: HttpDraft): void {
  for (const zone of [caches?.first, caches?.second]) {
    if (zone !== undefined) http.workshop.problems.attempt(() => declareZone(http, zone));
  }
}

function tlsSettings(set: Set, draft: ServerDraft, level: Level): TlsSettings {
  const certificates = placed(set.ssl_certificate, level.places('ssl_certificate'));
  const keys = placed(set.ssl_certificate_key, level.places('ssl_certificate_key'));
  const pairs = readCertificates(certificates, keys, draft.workshop);
  return {
    context: makeContext(set, draft, pairs, level),
    sessionTimeout: set.ssl_session_timeout,
    sessionTickets: set.ssl_session_tickets,
  };
}

function placed(files: readonly string[], places: readonly Position[]): WrittenFile[] {
  return files.map((file, index) => ({ file, at: places[index] }));
}

// The context.

/** From old to new, as OpenSSL switches each of them off; what else `ssl_protocols` may name does not exist any more. */
const OFF = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
} as const;
type Version = keyof typeof OFF;
const VERSIONS = Object.keys(OFF) as Version[];

function makeContext(set: Set, draft: ServerDraft, pairs: CertificatePairs, level: Level): SecureContext {
  const options: SecureContextOptions = {
    cert: [...pairs.certificates],
    key: [...pairs.keys],
    sessionTimeout: Math.max(1, Math.floor(set.ssl_session_timeout / 1000)),
    // A session of one server must not be resumed at another, whose certificate and rules were never applied to it.
    sessionIdContext: sessionContext(draft, pairs),
    ...(set.ssl_session_tickets ? { ticketKeys: draft.workshop.secrets.ticketKeys } : {}),
    ...protocolOptions(set, level),
  };
  checkPart({ ciphers: set.ssl_ciphers }, 'ssl_ciphers', level);
  checkPart({ ecdhCurve: set.ssl_ecdh_curve }, 'ssl_ecdh_curve', level);
  return createSecureContext({ ...options, ciphers: set.ssl_ciphers, ecdhCurve: set.ssl_ecdh_curve });
}

/** Tried alone, so that the mistake can be told where it stands. */
function checkPart(part: SecureContextOptions, directive: string, level: Level): void {
  try {
    createSecureContext(part);
  } catch (error) {
    throw new ConfigError(`"${directive}" is not usable: ${(error as Error).message}`, level.at(directive));
  }
}

function sessionContext(draft: ServerDraft, { certificates }: CertificatePairs): string {
  const hash = createHash('sha256').update(draft.settings.name);
  for (const pem of certificates) hash.update(pem);
  return hash.digest('hex').slice(0, 32);
}

/** From the oldest to the newest version that is wanted; what lies between and is not is switched off one by one. */
function protocolOptions(set: Set, level: Level): SecureContextOptions {
  const wanted = VERSIONS.filter((version) => set.ssl_protocols.includes(version));
  const [first] = wanted;
  const last = wanted.at(-1);
  if (first === undefined || last === undefined)
    throw new ConfigError('none of these protocols exists any more', level.at('ssl_protocols'));
  const between = VERSIONS.slice(VERSIONS.indexOf(first), VERSIONS.indexOf(last));
  let secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  for (const version of between) if (!wanted.includes(version)) secureOptions |= OFF[version];
  if (!set.ssl_session_tickets) secureOptions |= constants.SSL_OP_NO_TICKET;
  if (set.ssl_prefer_server_ciphers) secureOptions |= constants.SSL_OP_CIPHER_SERVER_PREFERENCE;
  return { minVersion: first, maxVersion: last, secureOptions };
}

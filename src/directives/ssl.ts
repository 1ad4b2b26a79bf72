// TLS towards clients: certificates, protocols, ciphers, sessions, and the certificates of clients.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { bufferSize, flag, integer, oneOf, path, seconds, someOf, template, word } from '../config/values.ts';
import type { SessionCache, TlsSettings } from '../listen/tls-settings.ts';
import type { TicketKeys } from '../transport/ticket-keys.ts';
import { certificateCacheKind, certificateCacheOf } from './certificate-cache-kind.ts';
import type { CertificatePair } from './certificate-pair.ts';
import type { HttpDraft, Level, ServerDraft } from './draft.ts';
import { handshakeExchange } from './handshake-exchange.ts';
import { nginxModule } from './module.ts';
import { type Certificates, serverCertificates } from './ssl-certificates.ts';
import { ContextMaker } from './ssl-context.ts';
import {
  builtinSessions,
  declareCaches,
  memoryOf,
  OwnSessions,
  SharedSessions,
  sessionCacheKinds,
  sharedMemory,
} from './ssl-session-cache.ts';
import { RotatingTicketKeys, ticketKeysFromFiles } from './ssl-ticket-keys.ts';
import { sslVariables } from './ssl-variables.ts';
import { clientVerification, NO_TRUST, readTrust, type Trust } from './ssl-verify.ts';
import { readBytes } from './written-file.ts';

const SERVERS = ['http', 'server'] as const;
const table = directives({
  ssl_certificate: {
    in: SERVERS,
    args: [template('file')],
    many: true,
    doc: 'The certificate (PEM) and behind it its chain: a file, relative to the folder of the configuration file, or `data:` and the PEM itself. Several, one for each kind of key: RSA, ECDSA. With variables it is read for each handshake.',
  },
  ssl_certificate_cache: {
    in: SERVERS,
    args: [certificateCacheKind],
    default: 'off',
    doc: 'Remembers up to `max` certificates and keys whose names have variables: forgotten when not used for `inactive` (10 s), looked at again after `valid` (60 s).',
    since: '1.27.4',
  },
  ssl_certificate_compression: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: 'Whether certificates are sent compressed (RFC 8879) to clients of TLS 1.3 that take it. Without effect where Node is too old for it.',
    since: '1.29.1',
  },
  ssl_certificate_key: {
    in: SERVERS,
    args: [template('file')],
    many: true,
    doc: "The certificate's private key (PEM), in the order of the certificates.",
    differs: 'No `engine:` and no `store:`.',
  },
  ssl_client_certificate: {
    in: SERVERS,
    args: [path('file')],
    doc: 'CA certificates (PEM) that the certificates of clients are verified with; clients are told their names.',
  },
  ssl_conf_command: {
    in: SERVERS,
    args: [word('name'), word('value')],
    many: true,
    doc: 'A command of OpenSSL: `Certificate`, `PrivateKey`, `CipherString`, `Ciphersuites`, `Groups`, `SignatureAlgorithms`, `MinProtocol`, `MaxProtocol`, `Protocol`, `Options`.',
    differs: 'Other commands have no effect, which a warning says: Node has no way to set them.',
  },
  ssl_crl: {
    in: SERVERS,
    args: [path('file')],
    doc: 'Lists of revoked certificates (PEM) for `ssl_verify_client`: one for each authority of the chain.',
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
    differs:
      'With `ssl_verify_client` they are kept by the server instead, so that none is resumed whose chain was too long.',
  },
  ssl_session_ticket_key: {
    in: SERVERS,
    args: [path('file')],
    many: true,
    doc: 'A file of 48 or 80 random bytes: the key that session tickets are encrypted with. Of several, tickets of the others than the first are taken, but not made.',
    differs: 'Tickets are encrypted by AES-128, also with a key of 80 bytes, for which nginx uses AES-256.',
  },
  ssl_session_cache: {
    in: SERVERS,
    args: sessionCacheKinds,
    default: 'none',
    doc: 'Where sessions are kept that are not in tickets: `shared`, by all workers, in so many bytes; `builtin`, by each worker, so many. A shared cache also has the keys of tickets, which change as time goes by.',
    differs: '`off` is `none`.',
  },
  ssl_buffer_size: {
    in: SERVERS,
    args: [bufferSize('size')],
    default: '16k',
    doc: 'The longest TLS record, in bytes, from 512 to 16 KB: with shorter ones the first byte can be read sooner.',
  },
  ssl_early_data: { in: SERVERS, args: [flag], effect: 'no effect', doc: 'Node has no early data (0-RTT).' },
  ssl_dhparam: {
    in: SERVERS,
    args: [path('file')],
    doc: 'Parameters (PEM) for cipher suites with finite-field Diffie-Hellman; without them there are none.',
  },
  ssl_password_file: {
    in: SERVERS,
    args: [path('file')],
    doc: 'Passphrases for private keys, one on each line, tried in turn.',
  },
  ssl_reject_handshake: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: 'Whether TLS handshakes for this server are refused, with the alert `unrecognized_name`.',
  },
  ssl_trusted_certificate: {
    in: SERVERS,
    args: [path('file')],
    doc: 'As `ssl_client_certificate`, but clients are not told.',
  },
  ssl_verify_client: {
    in: SERVERS,
    args: [oneOf('mode', 'off', 'on', 'optional', 'optional_no_ca')],
    default: 'off',
    doc: 'Whether clients must show a certificate (496 where they do not, 495 where it is not good), may show one, or may show one of any authority. See `$ssl_client_verify`.',
  },
  ssl_verify_depth: {
    in: SERVERS,
    args: [integer('number')],
    default: '1',
    doc: "How many certificates may stand between a client's own and the CA.",
  },
  ssl_stapling: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: 'Whether clients that want it get the OCSP response of `ssl_stapling_file`.',
    differs: 'Responders are not asked: without a file it has no effect, which a warning says.',
  },
  ssl_stapling_file: {
    in: SERVERS,
    args: [path('file')],
    doc: 'The OCSP response (DER) for `ssl_stapling`. Read with the configuration.',
  },
  ssl_stapling_responder: { in: SERVERS, args: [word('url')], effect: 'no effect', doc: 'See `ssl_stapling`.' },
  ssl_stapling_verify: { in: SERVERS, args: [flag], effect: 'no effect', doc: 'See `ssl_stapling`.' },
});

type Set = SetOf<typeof table>;

export const ssl = nginxModule('http_ssl', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_ssl_module.html',
  directives: table,
  variables: sslVariables,
  http(set, http, level) {
    checkLevel(set, http, level);
  },
  server(set, draft, level) {
    checkLevel(set, draft.http, level);
    draft.rejectsHandshake = set.ssl_reject_handshake;
    const isUsed = set.ssl_certificate.length > 0;
    const trust = isUsed ? readTrust(set, draft.workshop, level) : NO_TRUST;
    draft.settings.verifyClient = clientVerification(set, trust);
    if (isUsed) draft.tls = tlsSettings(set, trust, draft, level);
  },
});

/** What may be wrong on a level, or worth a word, whether or not a server has use for it. */
function checkLevel(set: Set, http: HttpDraft, level: Level): void {
  const { workshop } = http;
  const { ssl_session_cache: caches, ssl_certificate_cache: cache } = set;
  if (level.has('ssl_session_cache') && caches !== undefined) declareCaches(caches, http);
  if (level.has('ssl_certificate_cache') && cache !== 'off' && cache.max === undefined) {
    const message = '"ssl_certificate_cache" must have the "max" parameter';
    workshop.error(message, level.at('ssl_certificate_cache'));
  }
  if (set.ssl_stapling && level.has('ssl_stapling') && set.ssl_stapling_file === undefined)
    workshop.warn('"ssl_stapling on" has no effect without "ssl_stapling_file"', level.at('ssl_stapling'));
}

function tlsSettings(set: Set, trust: Trust, draft: ServerDraft, level: Level): TlsSettings {
  const { workshop, settings } = draft;
  const { verifyClient } = settings;
  const certificates = serverCertificates(
    set,
    certificateCacheOf(set.ssl_certificate_cache, draft.http),
    workshop,
    level,
  );
  // Tickets cannot be taken back from a client whose chain is seen to be too long.
  const sessionTickets = set.ssl_session_tickets && verifyClient === undefined;
  const parts = {
    trust,
    identity: [...certificates.identity, verifyClient === undefined ? '' : JSON.stringify(verifyClient)],
    tickets: sessionTickets ? ticketKeys(set, draft.http, level) : undefined,
  };
  const maker = new ContextMaker(set, parts, workshop, level);
  return {
    context: contexts(certificates, maker, draft, level),
    verifyClient,
    sessionTickets,
    sessions: sessionCache(set, sessionTickets, draft.http),
    recordSize: Math.min(Math.max(set.ssl_buffer_size, SHORTEST_RECORD), LONGEST_RECORD),
    staple: stapleOf(set, draft, level),
  };
}

/** What OpenSSL allows. */
const SHORTEST_RECORD = 512;
const LONGEST_RECORD = 16_384;

/** So many contexts are kept of certificates that variables have named; with more, the one used longest ago goes. */
const MOST_CONTEXTS = 256;

function contexts(
  certificates: Certificates,
  maker: ContextMaker,
  draft: ServerDraft,
  level: Level,
): TlsSettings['context'] {
  if (certificates.fixed !== undefined) {
    const context = usable(() => maker.make(certificates.fixed as readonly CertificatePair[]), level);
    return () => context;
  }
  usable(() => maker.make([]), level);
  const { settings } = draft;
  const made = new Map<string, ReturnType<ContextMaker['make']>>();
  return (client, ends) => {
    const pairs = certificates.chosen(handshakeExchange(client, ends, settings));
    const id = pairs.map(({ certificate, key }) => certificate + key).join('\n');
    const context = made.get(id) ?? maker.make(pairs);
    made.delete(id);
    made.set(id, context);
    if (made.size > MOST_CONTEXTS) made.delete(made.keys().next().value as string);
    return context;
  };
}

function usable<T>(make: () => T, level: Level): T {
  try {
    return make();
  } catch (error) {
    throw new ConfigError(`the certificate is not usable: ${(error as Error).message}`, level.at('ssl_certificate'));
  }
}

function ticketKeys(set: Set, http: HttpDraft, level: Level): TicketKeys | 'random' {
  const { ssl_session_ticket_key: files } = set;
  if (files.length > 0) return ticketKeysFromFiles(files, level.places('ssl_session_ticket_key'), http.workshop);
  const memory = sharedMemory(set.ssl_session_cache, http);
  return memory === undefined ? 'random' : new RotatingTicketKeys(memory, set.ssl_session_timeout);
}

/** For servers that would have tickets, were they not to verify their clients, and have no cache. */
const VERIFIED_SESSIONS = { name: 'of verified clients', bytes: 1024 * 1024 };

function sessionCache(set: Set, sessionTickets: boolean, http: HttpDraft): SessionCache | undefined {
  const { ssl_session_timeout: timeout } = set;
  const memory = sharedMemory(set.ssl_session_cache, http);
  if (memory !== undefined) return new SharedSessions(memory, timeout);
  const own = builtinSessions(set.ssl_session_cache);
  if (own !== undefined) return new OwnSessions(own);
  if (sessionTickets || !set.ssl_session_tickets) return undefined;
  return new SharedSessions(memoryOf(http, VERIFIED_SESSIONS.name, VERIFIED_SESSIONS.bytes), timeout);
}

function stapleOf(
  { ssl_stapling: on, ssl_stapling_file: file }: Set,
  draft: ServerDraft,
  level: Level,
): Buffer | undefined {
  if (!on || file === undefined || file === '') return undefined;
  return readBytes({ file, at: level.at('ssl_stapling_file') }, 'OCSP response', draft.workshop);
}

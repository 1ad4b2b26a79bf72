// TLS towards clients: certificates, protocols, ciphers, sessions.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html

import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { FileError } from '../config/files.ts';
import type { Position } from '../config/tree.ts';
import { any, flag, path, rest, seconds, size, someOf, word } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { TlsSettings } from '../listen/tls-settings.ts';
import type { ServerDraft } from './draft.ts';
import { nginxModule } from './module.ts';

const SERVERS = ['http', 'server'] as const;

const table = directives({
  ssl_certificate: {
    in: SERVERS,
    args: [path('file')],
    many: true,
    doc: 'The certificate (PEM) and behind it its chain. Several, one for each kind of key: RSA, ECDSA.',
  },
  ssl_certificate_key: { in: SERVERS, args: [path('file')], many: true, doc: "The certificate's private key (PEM)." },
  ssl_protocols: {
    in: SERVERS,
    args: [someOf('protocol', 'SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3')],
    default: 'TLSv1.2 TLSv1.3',
    doc: 'The protocols that clients may use. SSLv2 and SSLv3 do not exist any more.',
  },
  ssl_ciphers: {
    in: SERVERS,
    args: [word('ciphers')],
    default: 'HIGH:!aNULL:!MD5',
    doc: 'The ciphers that clients may use, as OpenSSL writes them.',
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
    doc: 'Whether sessions are resumed by tickets; every worker takes those of the others.',
  },
  ssl_session_cache: {
    in: SERVERS,
    args: [rest(word('cache'))],
    default: 'none',
    doc: 'Is checked; sessions are resumed by tickets, which need no cache.',
    effect: 'no effect',
  },
  ssl_buffer_size: { in: SERVERS, args: [size('size')], effect: 'no effect', doc: "OpenSSL's own records are used." },
  ssl_early_data: { in: SERVERS, args: [flag], effect: 'no effect', doc: 'Node has no early data (0-RTT).' },
  ssl_dhparam: {
    in: SERVERS,
    args: [any(path('file'))],
    effect: 'no effect',
    doc: 'Cipher suites with finite-field Diffie-Hellman are not offered.',
  },
});

type Set = SetOf<typeof table>;

export const ssl = nginxModule('http_ssl', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_ssl_module.html',
  directives: table,
  variables: {
    ssl_protocol: (exchange) => tlsOf(exchange)?.getProtocol() ?? undefined,
    ssl_cipher: (exchange) => tlsOf(exchange)?.getCipher().name,
    ssl_server_name: (exchange) => serverNameOf(exchange),
    ssl_session_reused: (exchange) => {
      const tls = tlsOf(exchange);
      return tls === undefined ? undefined : tls.isSessionReused() ? 'r' : '.';
    },
    ssl_session_id: (exchange) => sessionId(exchange),
    ssl_alpn_protocol: (exchange) => {
      const alpn = tlsOf(exchange)?.alpnProtocol;
      return typeof alpn === 'string' ? alpn : undefined;
    },
    ssl_curve: (exchange) => {
      const info = tlsOf(exchange)?.getEphemeralKeyInfo();
      return info !== null && info !== undefined && 'name' in info ? info.name : undefined;
    },
  },
  server(set, draft, level) {
    if (set.ssl_certificate.length > 0) draft.tls = tlsSettings(set, draft, level.at('ssl_certificate'));
  },
});

function tlsOf(exchange: Exchange): TLSSocket | undefined {
  return exchange.link.channel.tls;
}

function serverNameOf(exchange: Exchange): string | undefined {
  // Node's types leave out what a server's socket has: the name that the client sent.
  const { servername } = (tlsOf(exchange) ?? {}) as { servername?: string | false };
  return typeof servername === 'string' && servername !== '' ? servername : undefined;
}

function sessionId(exchange: Exchange): string | undefined {
  const session = tlsOf(exchange)?.getSession();
  return session === undefined ? undefined : createHash('sha256').update(session).digest('hex');
}

// The context.

const OFF = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
} as const;
type Version = keyof typeof OFF;
const VERSIONS = Object.keys(OFF) as Version[];

function tlsSettings(set: Set, draft: ServerDraft, at: Position | undefined): TlsSettings {
  const certificates = set.ssl_certificate.map((file) => readCertificate(file, draft, at));
  const keys = set.ssl_certificate_key.map((file) => readKey(file, draft, at));
  if (keys.length < certificates.length) {
    const file = set.ssl_certificate[keys.length] as string;
    throw new ConfigError(`no "ssl_certificate_key" is defined for certificate "${file}"`, at);
  }
  certificates.forEach((certificate, index) => {
    const key = keys[index] as PemKey;
    if (!new X509Certificate(certificate.pem).checkPrivateKey(key.key)) {
      throw new ConfigError(
        `cannot load certificate key "${key.file}": it is not the key of "${certificate.file}"`,
        at,
      );
    }
  });
  return {
    context: makeContext(set, draft, certificates, keys, at),
    sessionTimeout: set.ssl_session_timeout,
    sessionTickets: set.ssl_session_tickets,
  };
}

function makeContext(
  set: Set,
  draft: ServerDraft,
  certificates: readonly Pem[],
  keys: readonly PemKey[],
  at: Position | undefined,
) {
  const { ticketKeys } = draft.workshop.secrets;
  const options: SecureContextOptions = {
    cert: certificates.map(({ pem }) => pem),
    key: keys.map(({ pem }) => pem),
    ciphers: set.ssl_ciphers,
    ecdhCurve: set.ssl_ecdh_curve,
    honorCipherOrder: set.ssl_prefer_server_ciphers,
    sessionTimeout: Math.max(1, Math.floor(set.ssl_session_timeout / 1000)),
    // A session of one server must not be resumed at another, whose certificate and rules were never applied to it.
    sessionIdContext: sessionContext(draft, certificates),
    ...(set.ssl_session_tickets ? { ticketKeys } : {}),
    ...protocolOptions(set),
  };
  try {
    return createSecureContext(options);
  } catch (error) {
    throw new ConfigError(`TLS settings are not usable: ${(error as Error).message}`, at);
  }
}

function sessionContext(draft: ServerDraft, certificates: readonly Pem[]): string {
  const hash = createHash('sha256').update(draft.settings.name);
  for (const { pem } of certificates) hash.update(pem);
  return hash.digest('hex').slice(0, 32);
}

/** From the oldest to the newest version that is wanted; what lies between and is not is switched off one by one. */
function protocolOptions(set: Set): SecureContextOptions {
  const wanted = VERSIONS.filter((version) => set.ssl_protocols.includes(version));
  const first = wanted[0] ?? 'TLSv1.2';
  const last = wanted.at(-1) ?? 'TLSv1.3';
  const between = VERSIONS.slice(VERSIONS.indexOf(first), VERSIONS.indexOf(last));
  let secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  for (const version of between) if (!wanted.includes(version)) secureOptions |= OFF[version];
  if (!set.ssl_session_tickets) secureOptions |= constants.SSL_OP_NO_TICKET;
  if (set.ssl_prefer_server_ciphers) secureOptions |= constants.SSL_OP_CIPHER_SERVER_PREFERENCE;
  return { minVersion: first, maxVersion: last, secureOptions };
}

// Files.

interface Pem {
  readonly file: string;
  readonly pem: string;
}

interface PemKey extends Pem {
  readonly key: ReturnType<typeof createPrivateKey>;
}

function readCertificate(written: string, draft: ServerDraft, at: Position | undefined): Pem {
  const file = draft.workshop.fromConfig(written);
  const pem = readPem(file, draft, 'certificate', at);
  try {
    new X509Certificate(pem);
  } catch {
    throw new ConfigError(`cannot load certificate "${file}": no certificate (PEM) was found in it`, at);
  }
  return { file, pem };
}

function readKey(written: string, draft: ServerDraft, at: Position | undefined): PemKey {
  const file = draft.workshop.fromConfig(written);
  const pem = readPem(file, draft, 'certificate key', at);
  try {
    return { file, pem, key: createPrivateKey(pem) };
  } catch {
    // OpenSSL's own words could quote the file.
    throw new ConfigError(`cannot load certificate key "${file}": no private key (PEM) could be read from it`, at);
  }
}

function readPem(file: string, draft: ServerDraft, what: string, at: Position | undefined): string {
  try {
    return draft.workshop.files.read(file).toString('latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot load ${what} "${file}": ${error.message}`, at);
  }
}

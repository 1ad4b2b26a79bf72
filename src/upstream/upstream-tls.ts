// TLS towards peers: what is offered, what is demanded of their certificates, and the sessions that are resumed.

import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  type DetailedPeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';

/** A protocol as `proxy_ssl_protocols` names it. */
export type TlsProtocol = 'SSLv2' | 'SSLv3' | 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** nginx's `proxy_ssl_…`: https://nginx.org/en/docs/http/ngx_http_proxy_module.html */
export interface UpstreamTlsSettings {
  /** `proxy_ssl_server_name`: send the name (SNI). Default: false. */
  readonly sendsServerName: boolean;
  /** `proxy_ssl_verify`. Default: false. */
  readonly verify: boolean;
  /** `proxy_ssl_verify_depth`: how many intermediate certificates there may be. Default: 1. */
  readonly verifyDepth: number;
  /** `proxy_ssl_trusted_certificate`: PEM. With `verify` and without this nothing is trusted. */
  readonly trusted: string | undefined;
  /** `proxy_ssl_ciphers`, as OpenSSL writes lists. Default: `DEFAULT`. */
  readonly ciphers: string;
  /** `proxy_ssl_protocols`. Default: TLSv1.2 and TLSv1.3. */
  readonly protocols: readonly TlsProtocol[];
  /** `proxy_ssl_session_reuse`. Default: true. */
  readonly sessionReuse: boolean;
  /** `proxy_ssl_certificate` and its key: PEM. */
  readonly certificate?: string | undefined;
  readonly certificateKey?: string | undefined;
  /** `proxy_ssl_crl`: lists of revoked certificates, PEM. With it every certificate of a chain must have the list of its authority. */
  readonly crl?: string | undefined;
  /** `proxy_ssl_conf_command`: goes before what the others say. */
  readonly openssl?: Pick<SecureContextOptions, 'ciphers' | 'ecdhCurve' | 'sigalgs' | 'secureOptions'>;
  /** `proxy_ssl_key_log`: is given a line for each key, with its end. */
  readonly keyLog?: ((line: Buffer) => void) | undefined;
}

/** Sessions kept for each set of settings, the one used longest ago going first. A session is some 2 kB. */
const SESSION_LIMIT = 500;

/** From old to new; those that Node cannot speak are left out. */
const PROTOCOLS = [
  { name: 'TLSv1', off: constants.SSL_OP_NO_TLSv1 },
  { name: 'TLSv1.1', off: constants.SSL_OP_NO_TLSv1_1 },
  { name: 'TLSv1.2', off: constants.SSL_OP_NO_TLSv1_2 },
  { name: 'TLSv1.3', off: constants.SSL_OP_NO_TLSv1_3 },
] as const;

/** OpenSSL's numbers and words for what it finds wrong with a certificate, by the name that Node gives it. */
const VERIFY_ERRORS: Readonly<Record<string, string>> = {
  UNSPECIFIED: '1:unspecified certificate verification error',
  UNABLE_TO_GET_ISSUER_CERT: '2:unable to get issuer certificate',
  UNABLE_TO_GET_CRL: '3:unable to get certificate CRL',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "4:unable to decrypt certificate's signature",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "5:unable to decrypt CRL's signature",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: '6:unable to decode issuer public key',
  CERT_SIGNATURE_FAILURE: '7:certificate signature failure',
  CRL_SIGNATURE_FAILURE: '8:CRL signature failure',
  CERT_NOT_YET_VALID: '9:certificate is not yet valid',
  CERT_HAS_EXPIRED: '10:certificate has expired',
  CRL_NOT_YET_VALID: '11:CRL is not yet valid',
  CRL_HAS_EXPIRED: '12:CRL has expired',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: "13:format error in certificate's notBefore field",
  ERROR_IN_CERT_NOT_AFTER_FIELD: "14:format error in certificate's notAfter field",
  OUT_OF_MEM: '17:out of memory',
  DEPTH_ZERO_SELF_SIGNED_CERT: '18:self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: '19:self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: '20:unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: '21:unable to verify the first certificate',
  CERT_CHAIN_TOO_LONG: '22:certificate chain too long',
  CERT_REVOKED: '23:certificate revoked',
  INVALID_CA: '24:invalid CA certificate',
  PATH_LENGTH_EXCEEDED: '25:path length constraint exceeded',
  INVALID_PURPOSE: '26:unsuitable certificate purpose',
  CERT_UNTRUSTED: '27:certificate not trusted',
  CERT_REJECTED: '28:certificate rejected',
  HOSTNAME_MISMATCH: '62:hostname mismatch',
};

/** One set of settings, ready for use, with the sessions made under it: none of them is ever used under another. */
export class UpstreamTls {
  readonly settings: UpstreamTlsSettings;
  readonly #context: SecureContext;
  readonly #sessions = new Map<string, Buffer>();

  /** @throws {Error} OpenSSL's, for a certificate, key or list of ciphers that is none */
  constructor(settings: UpstreamTlsSettings) {
    const { secureOptions = 0, ...openssl } = settings.openssl ?? {};
    const protocols = protocolOptions(settings.protocols);
    this.settings = settings;
    this.#context = createSecureContext({
      ca: settings.trusted ?? [],
      crl: settings.crl === undefined ? undefined : splitLists(settings.crl),
      ciphers: settings.ciphers === 'DEFAULT' ? undefined : settings.ciphers,
      cert: settings.certificate,
      key: settings.certificateKey,
      ...protocols,
      ...openssl,
      secureOptions: protocols.secureOptions | secureOptions,
    });
  }

  /** How many sessions could be resumed. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** @param name whom we want to speak to (`proxy_ssl_name`, without port): sent if it is a name, and verified */
  connectionOptions(peer: string, name: string): ConnectionOptions {
    const sendsName = this.settings.sendsServerName && name !== '' && isIP(name) === 0 && !name.startsWith('[');
    return {
      secureContext: this.#context,
      servername: sendsName ? name : '',
      session: this.settings.sessionReuse ? this.#sessions.get(sessionKey(peer, name)) : undefined,
      // The certificate is looked at in `verify`, which knows nginx's words; until then nothing is sent.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    };
  }

  /** After the handshake. @returns what is wrong, as nginx's error log has it, or undefined */
  verify(socket: TLSSocket, name: string): string | undefined {
    if (!this.settings.verify) return undefined;
    const failure = verifyFailure(socket, this.settings.verifyDepth);
    if (failure !== undefined) return `upstream SSL certificate verify error: (${failure})`;
    // Node shows no certificate of a resumed session; but sessions are kept only once they were verified, under this very name.
    if (socket.isSessionReused()) return undefined;
    if (!isCertificateOf(socket, name)) return `upstream SSL certificate does not match "${name}"`;
    return undefined;
  }

  /** Remembers a session of a connection that was verified, for the next one to this peer by this name. */
  keepSession(peer: string, name: string, session: Buffer): void {
    if (!this.settings.sessionReuse) return;
    const key = sessionKey(peer, name);
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size > SESSION_LIMIT) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }
}

/** Node reads only the first list of a text. What is none it will refuse. */
function splitLists(pem: string): string[] {
  return pem.match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g) ?? [pem];
}

function sessionKey(peer: string, name: string): string {
  return `${peer}\n${name}`;
}

function protocolOptions(protocols: readonly TlsProtocol[]) {
  const wanted = PROTOCOLS.filter(({ name }) => protocols.includes(name));
  const first = wanted[0] ?? PROTOCOLS[2];
  const last = wanted.at(-1) ?? PROTOCOLS[3];
  const between = PROTOCOLS.slice(PROTOCOLS.indexOf(first), PROTOCOLS.indexOf(last));
  const holes = between.filter((protocol) => !wanted.includes(protocol));
  const secureOptions = holes.reduce((options, { off }) => options | off, 0);
  return { minVersion: first.name, maxVersion: last.name, secureOptions };
}

function verifyFailure(socket: TLSSocket, depth: number): string | undefined {
  if (!socket.authorized) {
    const code = String(socket.authorizationError);
    return VERIFY_ERRORS[code] ?? VERIFY_ERRORS['UNSPECIFIED'];
  }
  return !socket.isSessionReused() && intermediates(socket) > depth ? VERIFY_ERRORS['CERT_CHAIN_TOO_LONG'] : undefined;
}

/** Certificates between the peer's own and the one that is trusted. */
function intermediates(socket: TLSSocket): number {
  let certificate: DetailedPeerCertificate = socket.getPeerCertificate(true);
  let length = 1;
  while (certificate.issuerCertificate !== undefined && certificate.issuerCertificate !== certificate) {
    certificate = certificate.issuerCertificate;
    length++;
  }
  return Math.max(0, length - 2);
}

function isCertificateOf(socket: TLSSocket, name: string): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (name === '' || certificate === undefined) return false;
  if (certificate.checkHost(name, { subject: 'default' }) !== undefined) return true;
  return isIP(name) !== 0 && certificate.checkIP(name) !== undefined;
}

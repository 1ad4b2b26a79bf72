// TLS towards peers: what is offered, what is demanded of their certificates, and the sessions that are resumed.

import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import {
  type CertificateFault,
  CHAIN_TOO_LONG,
  certificateFault,
  intermediates,
} from '../transport/certificate-verdict.ts';

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
    if (failure !== undefined) return `upstream SSL certificate verify error: (${failure.code}:${failure.reason})`;
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

function verifyFailure(socket: TLSSocket, depth: number): CertificateFault | undefined {
  if (!socket.authorized) return certificateFault(String(socket.authorizationError));
  return !socket.isSessionReused() && intermediates(socket) > depth ? CHAIN_TOO_LONG : undefined;
}

function isCertificateOf(socket: TLSSocket, name: string): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (name === '' || certificate === undefined) return false;
  if (certificate.checkHost(name, { subject: 'default' }) !== undefined) return true;
  return isIP(name) !== 0 && certificate.checkIP(name) !== undefined;
}

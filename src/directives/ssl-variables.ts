// $ssl_…: what is known of the TLS connection to the client. All are without a value where there is none.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#variables

import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Exchange } from '../exchange/exchange.ts';
import { type CertificateNames, certificateNames } from './distinguished-name.ts';
import type { VariableGetter } from './module.ts';
import { cipherSuiteNames, groupName, groupNames, hexadecimalNames } from './tls-names.ts';
import { sessionGroup, sessionId } from './tls-session.ts';

/** Node has no early data and no encrypted ClientHello, and does not tell by which algorithms was signed. */
const WITHOUT_VALUE = [
  'ssl_early_data',
  'ssl_ech_status',
  'ssl_ech_outer_server_name',
  'ssl_sigalg',
  'ssl_client_sigalg',
] as const;

const ofConnection: Readonly<Record<string, VariableGetter>> = {
  ssl_protocol: (exchange) => socketOf(exchange)?.getProtocol() ?? undefined,
  ssl_cipher: (exchange) => socketOf(exchange)?.getCipher().name,
  ssl_ciphers: ({ link }) => present(link.ends.tls && cipherSuiteNames(link.ends.tls.offers.cipherSuites)),
  ssl_curve: (exchange) => curveOf(exchange),
  ssl_curves: ({ link }) => present(link.ends.tls && groupNames(link.ends.tls.offers.groups)),
  ssl_sigalgs: ({ link }) => present(link.ends.tls && hexadecimalNames(link.ends.tls.offers.signatures)),
  ssl_server_name: ({ link }) => link.ends.tls?.serverName,
  ssl_session_id: (exchange) => sessionIdOf(exchange),
  ssl_session_reused: (exchange) => {
    const socket = socketOf(exchange);
    return socket === undefined ? undefined : socket.isSessionReused() ? 'r' : '.';
  },
  ssl_alpn_protocol: (exchange) => {
    const alpn = socketOf(exchange)?.alpnProtocol;
    return typeof alpn === 'string' ? alpn : undefined;
  },
};

const ofCertificate: Readonly<Record<string, VariableGetter>> = {
  ssl_client_cert: (exchange) => certificateOf(exchange)?.toString().trimEnd().replaceAll('\n', '\n\t'),
  ssl_client_raw_cert: (exchange) => certificateOf(exchange)?.toString(),
  ssl_client_escaped_cert: (exchange) => escaped(certificateOf(exchange)),
  ssl_client_s_dn: (exchange) => namesOf(exchange)?.subject.rfc2253(),
  ssl_client_i_dn: (exchange) => namesOf(exchange)?.issuer.rfc2253(),
  ssl_client_s_dn_legacy: (exchange) => namesOf(exchange)?.subject.legacy(),
  ssl_client_i_dn_legacy: (exchange) => namesOf(exchange)?.issuer.legacy(),
  ssl_client_serial: (exchange) => namesOf(exchange)?.serial,
  ssl_client_fingerprint: (exchange) => {
    const certificate = certificateOf(exchange);
    return certificate && createHash('sha1').update(certificate.raw).digest('hex');
  },
  ssl_client_verify: (exchange) => verdictOf(exchange),
  ssl_client_v_start: (exchange) => certificateOf(exchange)?.validFrom,
  ssl_client_v_end: (exchange) => certificateOf(exchange)?.validTo,
  ssl_client_v_remain: (exchange) => daysLeft(certificateOf(exchange)),
};

export const sslVariables: Readonly<Record<string, VariableGetter>> = {
  ...ofConnection,
  ...ofCertificate,
  ...Object.fromEntries(WITHOUT_VALUE.map((name) => [name, () => undefined])),
};

function socketOf({ link }: Exchange): TLSSocket | undefined {
  return link.ends.tls?.socket;
}

function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** The client's certificate, where its server asks for one. */
function certificateOf({ link }: Exchange): X509Certificate | undefined {
  return link.ends.tls?.certificate;
}

function namesOf(exchange: Exchange): CertificateNames | undefined {
  const certificate = certificateOf(exchange);
  return certificate && certificateNames(certificate.raw);
}

/** The marks on which nginx and `encodeURIComponent` differ stand in no PEM. */
function escaped(certificate: X509Certificate | undefined): string | undefined {
  return certificate && encodeURIComponent(certificate.toString());
}

function verdictOf({ link }: Exchange): string | undefined {
  const { tls } = link.ends;
  if (tls?.certificate === undefined) return tls && 'NONE';
  return tls.fault === undefined ? 'SUCCESS' : `FAILED:${tls.fault.reason}`;
}

const DAY_MS = 86_400_000;

function daysLeft(certificate: X509Certificate | undefined): string | undefined {
  if (certificate === undefined) return undefined;
  const left = Math.floor((Date.parse(certificate.validTo) - Date.now()) / DAY_MS);
  return Number.isNaN(left) ? undefined : `${Math.max(0, left)}`;
}

function curveOf(exchange: Exchange): string | undefined {
  const session = socketOf(exchange)?.getSession();
  const group = session && sessionGroup(session);
  return group === undefined ? undefined : groupName(group);
}

function sessionIdOf(exchange: Exchange): string | undefined {
  const session = socketOf(exchange)?.getSession();
  const id = session === undefined ? '' : sessionId(session).toString('hex');
  return id === '' ? undefined : id;
}

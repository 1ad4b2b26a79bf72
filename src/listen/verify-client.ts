// ssl_verify_client: whether the certificate that a client has shown, or not shown, lets its request pass.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client

import type { ClientVerification, Exchange } from '../exchange/exchange.ts';
import type { CertificateFault } from '../transport/certificate-verdict.ts';
import type { ClientTls } from '../transport/client-tls.ts';

/** nginx's statuses of its own. */
const CERTIFICATE_ERROR = 495;
const NO_CERTIFICATE = 496;
const MISDIRECTED = 421;

/** What only says that the signer is not known: X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, … */
const UNKNOWN_SIGNER: ReadonlySet<number> = new Set([18, 19, 20, 21, 27]);

/** What may be said against `optional_no_ca` as well. */
export function isRealFault({ code }: CertificateFault): boolean {
  return !UNKNOWN_SIGNER.has(code);
}

/** @returns false: the request has been refused. Plain connections have no certificates, and all of them pass. */
export function isVerified(exchange: Exchange, wanted: ClientVerification): boolean {
  const { tls } = exchange.link.ends;
  if (tls === undefined) return true;
  if (isMisdirected(tls, exchange.head.host, wanted)) {
    const reason = 'client attempted to request the server name different from the one that was negotiated';
    return refuse(exchange, MISDIRECTED, reason);
  }
  const { certificate, fault } = tls;
  if (fault !== undefined && (!wanted.anyAuthority || isRealFault(fault))) {
    const reason = `client SSL certificate verify error: (${fault.code}:${fault.reason})`;
    return refuse(exchange, CERTIFICATE_ERROR, reason);
  }
  if (certificate !== undefined || !wanted.required) return true;
  return refuse(exchange, NO_CERTIFICATE, 'client sent no required SSL certificate');
}

/**
 * The handshake was made for another server than the request is for, or by other rules: those of the default server, where the client
 * has named none, or those from before a reload.
 */
function isMisdirected(tls: ClientTls, host: string, { rules }: ClientVerification): boolean {
  if (tls.host !== undefined && tls.host !== host) return true;
  return rules !== '' && tls.rules !== undefined && tls.rules !== rules;
}

function refuse(exchange: Exchange, status: number, reason: string): false {
  exchange.log('info', `${reason} while reading client request headers`);
  exchange.fail(status);
  return false;
}

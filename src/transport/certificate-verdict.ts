// What OpenSSL found of the other side's certificate: its numbers, its words, and how long the chain was.

import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** Why a certificate is not good: OpenSSL's number (X509_V_ERR_…) and its words for it. */
export interface CertificateFault {
  readonly code: number;
  readonly reason: string;
}

/** By the name that Node gives to each. */
const FAULTS: Readonly<Record<string, CertificateFault>> = {
  UNSPECIFIED: { code: 1, reason: 'unspecified certificate verification error' },
  UNABLE_TO_GET_ISSUER_CERT: { code: 2, reason: 'unable to get issuer certificate' },
  UNABLE_TO_GET_CRL: { code: 3, reason: 'unable to get certificate CRL' },
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: { code: 4, reason: "unable to decrypt certificate's signature" },
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: { code: 5, reason: "unable to decrypt CRL's signature" },
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: { code: 6, reason: 'unable to decode issuer public key' },
  CERT_SIGNATURE_FAILURE: { code: 7, reason: 'certificate signature failure' },
  CRL_SIGNATURE_FAILURE: { code: 8, reason: 'CRL signature failure' },
  CERT_NOT_YET_VALID: { code: 9, reason: 'certificate is not yet valid' },
  CERT_HAS_EXPIRED: { code: 10, reason: 'certificate has expired' },
  CRL_NOT_YET_VALID: { code: 11, reason: 'CRL is not yet valid' },
  CRL_HAS_EXPIRED: { code: 12, reason: 'CRL has expired' },
  ERROR_IN_CERT_NOT_BEFORE_FIELD: { code: 13, reason: "format error in certificate's notBefore field" },
  ERROR_IN_CERT_NOT_AFTER_FIELD: { code: 14, reason: "format error in certificate's notAfter field" },
  OUT_OF_MEM: { code: 17, reason: 'out of memory' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { code: 18, reason: 'self-signed certificate' },
  SELF_SIGNED_CERT_IN_CHAIN: { code: 19, reason: 'self-signed certificate in certificate chain' },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { code: 20, reason: 'unable to get local issuer certificate' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { code: 21, reason: 'unable to verify the first certificate' },
  CERT_CHAIN_TOO_LONG: { code: 22, reason: 'certificate chain too long' },
  CERT_REVOKED: { code: 23, reason: 'certificate revoked' },
  INVALID_CA: { code: 24, reason: 'invalid CA certificate' },
  PATH_LENGTH_EXCEEDED: { code: 25, reason: 'path length constraint exceeded' },
  INVALID_PURPOSE: { code: 26, reason: 'unsuitable certificate purpose' },
  CERT_UNTRUSTED: { code: 27, reason: 'certificate not trusted' },
  CERT_REJECTED: { code: 28, reason: 'certificate rejected' },
  HOSTNAME_MISMATCH: { code: 62, reason: 'hostname mismatch' },
};

/** More certificates than are allowed stand between the first one and the one that is trusted. */
export const CHAIN_TOO_LONG = certificateFault('CERT_CHAIN_TOO_LONG');

/** @param name as in `TLSSocket.authorizationError` */
export function certificateFault(name: string): CertificateFault {
  return FAULTS[name] ?? (FAULTS['UNSPECIFIED'] as CertificateFault);
}

/** How many certificates stand between the other side's own and the one that is trusted. Known after a full handshake only. */
export function intermediates(socket: TLSSocket): number {
  let certificate: DetailedPeerCertificate = socket.getPeerCertificate(true);
  let length = 1;
  while (certificate.issuerCertificate !== undefined && certificate.issuerCertificate !== certificate) {
    certificate = certificate.issuerCertificate;
    length++;
  }
  return Math.max(0, length - 2);
}

// ssl_verify_client: whose certificates clients may show, and by which rules they are verified.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client

import { createHash, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../config/errors.ts';
import type { ClientVerification } from '../exchange/exchange.ts';
import type { Authorities } from '../transport/authorities.ts';
import type { Level, Workshop } from './draft.ts';
import { pemBlocks, readPem } from './written-file.ts';

export interface VerifySet {
  readonly ssl_verify_client: 'off' | 'on' | 'optional' | 'optional_no_ca';
  readonly ssl_verify_depth: number;
  readonly ssl_client_certificate: string | undefined;
  readonly ssl_trusted_certificate: string | undefined;
  readonly ssl_crl: string | undefined;
}

/** What a server verifies its clients with. */
export interface Trust {
  readonly authorities: Authorities;
  /** Lists of revoked certificates: PEM, one each. */
  readonly revoked: readonly string[];
}

/** What a request must have behind it; undefined: nothing. It holds for requests of a server that has no certificate as well. */
export function clientVerification(set: VerifySet, trust: Trust): ClientVerification | undefined {
  const { ssl_verify_client: mode, ssl_verify_depth: depth } = set;
  if (mode === 'off') return undefined;
  return {
    required: mode === 'on',
    anyAuthority: mode === 'optional_no_ca',
    depth,
    rules: trust === NO_TRUST ? '' : rulesOf(trust, depth),
  };
}

/** What is read is not looked at where nobody is verified with it. */
export const NO_TRUST: Trust = { authorities: { told: [], quiet: [] }, revoked: [] };

/** @throws ConfigError for files that cannot be read, and where there are none */
export function readTrust(set: VerifySet, workshop: Workshop, level: Level): Trust {
  if (set.ssl_verify_client === 'off') return NO_TRUST;
  const told = authoritiesOf(set, 'ssl_client_certificate', workshop, level);
  const trusted = authoritiesOf(set, 'ssl_trusted_certificate', workshop, level);
  if (told === undefined && trusted === undefined && set.ssl_verify_client !== 'optional_no_ca') {
    const message = 'no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client';
    throw new ConfigError(message, level.at('ssl_verify_client'));
  }
  const quiet = (trusted ?? []).filter((pem) => !told?.includes(pem));
  return { authorities: { told: told ?? [], quiet }, revoked: revocationsOf(set, workshop, level) };
}

function authoritiesOf(
  set: VerifySet,
  directive: 'ssl_client_certificate' | 'ssl_trusted_certificate',
  workshop: Workshop,
  level: Level,
): string[] | undefined {
  const file = set[directive];
  if (file === undefined || file === '') return undefined;
  const at = level.at(directive);
  const blocks = pemBlocks(readPem({ file, at }, 'certificate', workshop), /CERTIFICATE$/);
  try {
    // Each once: clients are told of every one.
    const found = new Set(blocks.map((block) => new X509Certificate(block).toString()));
    if (found.size > 0) return [...found];
  } catch {
    // As below.
  }
  throw new ConfigError(
    `cannot load certificate "${workshop.fromConfig(file)}": no certificate (PEM) was found in it`,
    at,
  );
}

function revocationsOf({ ssl_crl: file }: VerifySet, workshop: Workshop, level: Level): string[] {
  if (file === undefined || file === '') return [];
  const at = level.at('ssl_crl');
  const blocks = pemBlocks(readPem({ file, at }, 'CRL', workshop), /CRL$/);
  try {
    createSecureContext({ crl: blocks });
    if (blocks.length > 0) return blocks;
  } catch {
    // As below.
  }
  throw new ConfigError(`cannot load CRL "${workshop.fromConfig(file)}": no list (PEM) was found in it`, at);
}

function rulesOf({ authorities: { told, quiet }, revoked }: Trust, depth: number): string {
  return createHash('sha256')
    .update(JSON.stringify([told, quiet, revoked, depth]))
    .digest('base64');
}

// Certificates and their keys: read while the configuration is, or for each handshake where their names have variables.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate

import { ConfigError } from '../config/errors.ts';
import type { Template } from '../config/template.ts';
import type { Position } from '../config/tree.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { CertificateCache } from './certificate-cache.ts';
import { type CertificatePair, loadPair, readPasswords } from './certificate-pair.ts';
import type { Level, Workshop } from './draft.ts';

/** What the configuration says of one certificate. */
interface Named {
  readonly name: Template;
  readonly at: Position | undefined;
}

/** The certificates of one server, one for each kind of key. */
export interface Certificates {
  /** What they are, or are called: sessions are not resumed where it is another. */
  readonly identity: readonly string[];
  /** Where their names have no variables. */
  readonly fixed: readonly CertificatePair[] | undefined;
  /** For one handshake. @throws CertificateError */
  chosen(exchange: Exchange): readonly CertificatePair[];
}

interface CertificatesSet {
  readonly ssl_certificate: readonly Template[];
  readonly ssl_certificate_key: readonly Template[];
  readonly ssl_password_file: string | undefined;
}

/** @throws ConfigError for what cannot be read, is no certificate or key, or does not fit its partner */
export function serverCertificates(
  set: CertificatesSet,
  cache: CertificateCache,
  workshop: Workshop,
  level: Level,
): Certificates {
  const certificates = named(set.ssl_certificate, level.places('ssl_certificate'));
  const keys = named(set.ssl_certificate_key, level.places('ssl_certificate_key'));
  const last = certificates.at(-1);
  if (last !== undefined && keys.length < certificates.length) {
    const message = `no "ssl_certificate_key" is defined for certificate "${last.name.text}"`;
    throw new ConfigError(message, last.at);
  }
  const pairs = certificates.map((certificate, index) => [certificate, keys[index] as Named] as const);
  const passwords = passwordsOf(set, workshop, level);
  const isFixed = pairs.every((pair) => pair.every(({ name }) => name.constant !== undefined));
  return isFixed ? fixedPairs(pairs, passwords, workshop) : chosenPairs(pairs, passwords, cache, workshop);
}

type NamedPair = readonly [certificate: Named, key: Named];

function named(names: readonly Template[], places: readonly Position[]): Named[] {
  return names.map((name, index) => ({ name, at: places[index] }));
}

function fixedPairs(pairs: readonly NamedPair[], passwords: readonly string[], workshop: Workshop): Certificates {
  const file = ({ name, at }: Named) => ({ file: name.text, at });
  const fixed = pairs.map(([certificate, key]) => loadPair(file(certificate), file(key), passwords, workshop));
  return { identity: fixed.map(({ certificate }) => certificate), fixed, chosen: () => fixed };
}

function chosenPairs(
  pairs: readonly NamedPair[],
  passwords: readonly string[],
  cache: CertificateCache,
  workshop: Workshop,
): Certificates {
  const texts = pairs.map((pair) => pair.map(({ name }) => workshop.text(name)));
  const whole = (name: string): string => (name.startsWith('data:') ? name : workshop.fromConfig(name));
  return {
    identity: pairs.map(([{ name }]) => name.text),
    fixed: undefined,
    chosen: (exchange) =>
      texts.map((pair) => {
        const [certificate = '', key = ''] = pair.map((text) => whole(text(exchange)));
        return cache.pair(certificate, key, passwords);
      }),
  };
}

/** What stands in `ssl_password_file`. @throws ConfigError */
export function passwordsOf(
  { ssl_password_file: file }: Pick<CertificatesSet, 'ssl_password_file'>,
  workshop: Workshop,
  level: Level,
): readonly string[] {
  return readPasswords(file, 'ssl_password_file', workshop, level);
}

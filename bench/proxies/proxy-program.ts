// What the benchmark must know of a proxy: whether it is here, and the command that runs it.

import type { CertificateFiles } from '../certificate.ts';

/** Where a proxy listens, and what is behind it. All ports are on 127.0.0.1. */
export interface Setup {
  /** A folder of its own for its configuration and logs. */
  readonly folder: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly peerPort: number;
  readonly certificate: CertificateFiles;
  /** How many client connections it must be able to hold. */
  readonly connectionsMost: number;
}

export interface ProxyProgram {
  readonly name: string;
  /** Its name and version, or why it cannot be measured here. */
  find(): { version: string } | { missing: string };
  /** Writes its configuration, and gives the command that runs it in the foreground. */
  command(setup: Setup): string[];
}

// Runs echo peers for the examples: node examples/run-peers.ts [--tls FOLDER] PORT …

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EchoPeer, type EchoPeerOptions } from './echo-peer.ts';
import { makeCertificate } from './make-certificate.ts';

const USAGE = 'usage: node examples/run-peers.ts [--tls FOLDER] PORT …';

/** @param folder where the certificate is, or is to be made; undefined: the peers speak plain ws */
async function tlsOf(folder: string | undefined): Promise<Pick<EchoPeerOptions, 'tls'>> {
  if (folder === undefined) return {};
  const { certificate, key } = await makeCertificate(folder);
  return { tls: { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') } };
}

function readPorts(words: readonly string[]): number[] {
  const ports = words.map(Number);
  const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535;
  if (ports.length === 0 || !ports.every(isPort)) throw new Error(USAGE);
  return ports;
}

async function run(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { tls: { type: 'string' } } });
  const ports = readPorts(positionals);
  const tls = await tlsOf(values.tls);
  const starting = ports.map((port, index) =>
    EchoPeer.start({ name: `peer ${index + 1}`, port, say: console.log, ...tls }),
  );
  const peers = await Promise.all(starting);
  for (const { name, port } of peers) console.log(`${name} listens on 127.0.0.1:${port}`);
  const end = (): void => void Promise.all(peers.map((peer) => peer.close()));
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});

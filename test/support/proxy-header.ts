// PROXY headers as bytes, right or wrong: what a proxy before the gateway sends.

import { addressBytes } from '../../src/addresses.ts';

export interface WrittenProxyHeader {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A line of version 1. */
export function proxyLine({ source, sourcePort, destination, destinationPort }: WrittenProxyHeader): Buffer {
  const family = source.includes(':') ? 'TCP6' : 'TCP4';
  return Buffer.from(`PROXY ${family} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`);
}

/** A header of version 2, for PROXY and STREAM. */
export function proxyBinary(written: WrittenProxyHeader, tlvs: Buffer = Buffer.alloc(0)): Buffer {
  const [source, destination] = [bytesOf(written.source), bytesOf(written.destination)];
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(written.sourcePort, 0);
  ports.writeUInt16BE(written.destinationPort, 2);
  return proxyBlock(0x21, source.length === 4 ? 0x11 : 0x21, Buffer.concat([source, destination, ports, tlvs]));
}

/** Any block of version 2: its version and command, its family and transport, its rest. */
export function proxyBlock(command: number, kind: number, rest: Buffer, length = rest.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, kind, length >> 8, length & 0xff]), rest]);
}

export function tlv(type: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function bytesOf(address: string): Buffer {
  const bytes = addressBytes(address);
  if (bytes === undefined) throw new Error(`${address} is no address`);
  return Buffer.from(bytes);
}

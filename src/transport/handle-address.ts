// Where a handle leads, and where it stands: the kernel is asked for TCP, the socket for TLS.

import type { TLSSocket } from 'node:tls';
import type { HandleAddress, NodeHandle } from './node-handles.ts';

export function addressOf(handle: NodeHandle, which: 'getpeername' | 'getsockname'): HandleAddress {
  const found: HandleAddress = {};
  handle[which]?.(found);
  return found;
}

export function peerOf(handle: NodeHandle, tls: TLSSocket | undefined): HandleAddress {
  if (tls === undefined) return addressOf(handle, 'getpeername');
  const { remoteAddress, remotePort } = tls;
  return {
    ...(remoteAddress === undefined ? {} : { address: remoteAddress }),
    ...(remotePort === undefined ? {} : { port: remotePort }),
  };
}

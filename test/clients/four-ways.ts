// A peer that is reached in four ways through one gateway: plain or over TLS from the client, plain or over TLS to the peer.

import type { TestContext } from 'node:test';
import { PASS_UPGRADE, type StartedGateway, startGateway } from './start-gateway.ts';

/** The same peer, or two that are alike. The one over TLS has the certificate of `selfSignedCertificate()`. */
export interface PeerPorts {
  readonly plain: number;
  readonly tls: number;
}

export interface Way {
  /** `ws to the gateway, wss to the peer` */
  readonly name: string;
  readonly isTlsToGateway: boolean;
  readonly isTlsToPeer: boolean;
  /** The path before that of the peer: begins with `/` and has none at its end. */
  readonly prefix: string;
  /** @param path as the peer shall see it; begins with `/`. @param scheme what is spoken over it; default `ws` */
  url(path: string, scheme?: 'ws' | 'http'): string;
}

export interface FourWays {
  readonly gateway: StartedGateway;
  readonly ways: readonly Way[];
}

/** @param more what else stands in `server`; that goes for all four ways */
export async function startFourWays(t: TestContext, { plain, tls }: PeerPorts, more = ''): Promise<FourWays> {
  const gateway = await startGateway(t, {
    server: `
      ${more}
      location /plain/ { proxy_pass http://127.0.0.1:${plain}/; ${PASS_UPGRADE} }
      location /tls/ {
          proxy_pass https://127.0.0.1:${tls}/; ${PASS_UPGRADE}
          proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_trusted_certificate own.crt;
      }`,
  });
  const ways = [false, true].flatMap((toPeer) => [false, true].map((toGateway) => makeWay(gateway, toGateway, toPeer)));
  return { gateway, ways };
}

function makeWay(gateway: StartedGateway, isTlsToGateway: boolean, isTlsToPeer: boolean): Way {
  const prefix = isTlsToPeer ? '/tls' : '/plain';
  const s = (isTls: boolean): string => (isTls ? 's' : '');
  return {
    name: `ws${s(isTlsToGateway)} to the gateway, ws${s(isTlsToPeer)} to the peer`,
    isTlsToGateway,
    isTlsToPeer,
    prefix,
    url: (path, scheme = 'ws') => gateway.url(`${scheme}${s(isTlsToGateway)}`, `${prefix}${path}`),
  };
}

// The real command between a client and its peers: plain and over TLS, with a certificate that the client can trust.

import type { TestContext } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePorts } from '../support/free-port.ts';
import { type Sockgate, startSockgate } from '../support/start-sockgate.ts';

export interface GatewayWish {
  /** What stands in `server`. */
  readonly server: string;
  /** What stands in `http` before it. */
  readonly http?: string;
  /** Default: 1. */
  readonly workers?: number;
}

export interface StartedGateway {
  readonly sockgate: Sockgate;
  readonly port: number;
  readonly tlsPort: number;
  /** The gateway's own certificate, PEM: for localhost, 127.0.0.1 and ::1. */
  readonly ca: string;
  /** @param scheme http, https, ws or wss. @param path begins with `/` */
  url(scheme: string, path: string): string;
}

export async function startGateway(t: TestContext, wish: GatewayWish): Promise<StartedGateway> {
  const [port, tlsPort] = (await freePorts(2)) as [number, number];
  const { cert, key } = await selfSignedCertificate();
  const conf = `
worker_processes ${wish.workers ?? 1};
events {}
http {
    access_log logs/access.log;
    ${wish.http ?? ''}
    server {
        listen 127.0.0.1:${port};
        listen 127.0.0.1:${tlsPort} ssl;
        ssl_certificate own.crt;
        ssl_certificate_key own.key;
        ${wish.server}
    }
}
`;
  const sockgate = await startSockgate(t, { conf, files: { 'own.crt': cert, 'own.key': key } });
  const portOf = (scheme: string): number => (scheme.endsWith('s') && scheme !== 'ws' ? tlsPort : port);
  return {
    sockgate,
    port,
    tlsPort,
    ca: cert,
    url: (scheme, path) => `${scheme}://127.0.0.1:${portOf(scheme)}${path}`,
  };
}

/** The lines of a location that hand WebSockets on, as nginx's documentation has them. */
export const PASS_UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

// What variables are asked with while a TLS handshake is under way: there is a connection, but no request yet.

import type { ClientLink } from '../exchange/client-link.ts';
import { Exchange, type Pipeline, type ServerSettings } from '../exchange/exchange.ts';
import { RequestHead } from '../http1/request-head.ts';
import type { HandshakeEnds } from '../listen/tls-settings.ts';
import type { ClientTls } from '../transport/client-tls.ts';

/** Nothing is answered on it, nothing logged, and it never ends: only its variables are of use. */
export function handshakeExchange(client: ClientTls, ends: HandshakeEnds, server: ServerSettings): Exchange {
  const { id, clientAddress, clientPort, serverAddress, serverPort } = ends;
  const link = {
    id,
    requests: 0,
    acceptedAt: Date.now(),
    clientAddress,
    clientPort,
    serverAddress,
    serverPort,
    ends: { ...ends, tls: client },
    pipelined: false,
    keepAlive: true,
  };
  return new Exchange(link as unknown as ClientLink, new RequestHead(), server, NOBODY, Date.now());
}

/** Nobody goes on with it. */
const NOBODY = {} as Pipeline;

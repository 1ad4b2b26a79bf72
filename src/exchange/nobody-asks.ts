// An exchange that no client has begun: for a request of our own to a peer, which is written by the settings of a location.

import type { RequestHead } from '../http1/request-head.ts';
import { NowhereChannel } from '../transport/nowhere-channel.ts';
import type { ConnectionCounts } from '../zones/connection-counts.ts';
import type { BodySink, ClientEnd, ClientLink } from './client-link.ts';
import { Exchange, type LocationSettings, type Pipeline, type ServerSettings } from './exchange.ts';

/** Whose request it would be. */
export interface Standpoint {
  readonly server: ServerSettings;
  readonly location: LocationSettings;
  readonly connectionCounts: ConnectionCounts;
}

/**
 * An exchange in a location, on which nothing will be answered: its variables can be read, most of them empty.
 * @param head what a client would have sent
 */
export function exchangeOfNobody(head: RequestHead, { server, location, connectionCounts }: Standpoint): Exchange {
  const exchange = new Exchange(new NobodyLink(), head, server, new NoPipeline(connectionCounts), Date.now());
  exchange.location = location;
  return exchange;
}

const NO_END: ClientEnd = {
  clientAddress: '',
  clientPort: 0,
  serverAddress: '',
  serverPort: 0,
  proxyHeader: undefined,
  tls: undefined,
  plainOnTls: false,
};

class NobodyLink implements ClientLink {
  readonly channel = new NowhereChannel();
  readonly id = 0;
  readonly requests = 0;
  readonly acceptedAt = Date.now();
  readonly clientAddress = '';
  readonly clientPort = 0;
  readonly ends = NO_END;
  readonly pipelined = false;
  keepAlive = false;

  handOver(): Buffer {
    throw new TypeError('an exchange of nobody has no connection to hand over');
  }

  readBody(sink: BodySink): void {
    sink.bodyEnd();
  }

  actFor(): void {}
  settleKeepAlive(): void {}
  sendIsBlocked(): void {}
  pauseBody(): void {}
  resumeBody(): void {}
  exchangeDone(): void {}
  abort(): void {}
  sendContinue(): void {}
}

/** It goes nowhere: nobody takes it through the phases. */
class NoPipeline implements Pipeline {
  readonly connectionCounts: ConnectionCounts;

  constructor(connectionCounts: ConnectionCounts) {
    this.connectionCounts = connectionCounts;
  }

  resume(): void {}
  fail(): void {}
  handedOver(): void {}
  tunnelResumed(): void {}
  handshakeRefused(): void {}
  ended(): void {}
  redirect(): void {}
  startInternal(): void {}
  redirectToNamed(): void {}
}

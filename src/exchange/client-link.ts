// What an exchange may ask of the connection that it came on: HTTP/1.1 today, a stream of HTTP/2 some day.

import type { ProxyHeader } from '../http1/proxy-header.ts';
import type { Channel } from '../transport/channel.ts';
import type { ClientTls } from '../transport/client-tls.ts';

/** Who takes a request's body. The bytes are lent for the call only. */
export interface BodySink {
  bodyBytes(bytes: Buffer, start: number, end: number): void;
  bodyEnd(): void;
  /** The body will not end: the client has gone (status 0), was too slow (408), sent what is no body (400) or too much (413). */
  bodyFault(status: number): void;
}

/** What the answering side of an exchange hears of the client while it answers. */
export interface ClientWatcher {
  /**
   * When the client goes, it goes on for its own sake (`proxy_ignore_client_abort`, `proxy_store`), and finishes the exchange:
   * `clientDrain` comes, and `clientGone` does not.
   */
  readonly outlivesClient?: boolean;
  /** All that was written has left: write on. */
  clientDrain(): void;
  /** What was gathered did not leave at once: stop reading the source until `clientDrain`. */
  clientBlocked(): void;
  /** The client has ended its half, and all that it sent has been read; it may still listen. */
  clientEnded(): void;
  /** The client has gone, or `send_timeout` has passed: nothing can be answered any more; the exchange is finished and will be logged. */
  clientGone(): void;
}

/** The two ends of a connection as its socket has them, and what the PROXY protocol said of it before the first request. */
export interface ClientEnd {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
  readonly proxyHeader: ProxyHeader | undefined;
  /** What is known of a client that speaks TLS. */
  readonly tls: ClientTls | undefined;
  /** Plain HTTP came to a port that speaks TLS. */
  readonly plainOnTls: boolean;
}

export interface ClientLink {
  readonly channel: Channel;
  /** nginx's `$connection`: counted over all workers. */
  readonly id: number;
  /** nginx's `$connection_requests`: this exchange's number on its connection, from 1. */
  readonly requests: number;
  /** When the connection was accepted, in ms since 1970. */
  readonly acceptedAt: number;
  /** The client's address as text: the socket's, `unix:` for a unix one; or while an exchange has told it, the one of `actFor`. */
  readonly clientAddress: string;
  readonly clientPort: number;
  /** Where the connection itself came from, whoever it acts for. */
  readonly ends: ClientEnd;
  /** The request came behind another one whose answer was still under way. */
  readonly pipelined: boolean;
  /** The gateway is leaving or the client asked: no further request on this connection. */
  keepAlive: boolean;

  /** A proxy that is trusted acts for this client, until the exchange has ended: realip. Port 0: it is not known. */
  actFor(address: string, port: number): void;
  /** The answer's head is about to be written: decides `keepAlive` by the location's limits and what is known of the client. */
  settleKeepAlive(): void;
  /** A write to the client did not leave at once: `send_timeout` runs until it has. */
  sendIsBlocked(): void;
  /** Gives the body to `sink`, also what has come already (at once, during the call), and reads on. */
  readBody(sink: BodySink): void;
  pauseBody(): void;
  resumeBody(): void;
  /** The answer is complete. Reads what is left of the body within bounds, then the next request, or closes. */
  exchangeDone(): void;
  /**
   * Closes the connection with the answer cut short: what was written of it still leaves, and the client can see that it is not all.
   * Where none was begun, it is closed without a word.
   */
  abort(): void;
  /** Sends `100 Continue` if the client waits for it, once. */
  sendContinue(): void;
  /**
   * Leaves the connection to a tunnel: the channel's owner is the caller's from now on.
   * @returns what the client sent behind its head, to be delivered first (perhaps empty; a copy)
   */
  handOver(): Buffer;
}

// Which connection it is: its number, its two ends, what was said in its TLS handshake.

import type { ProxyHeader } from '../http1/proxy-header.ts';
import type { ClientTls } from '../transport/client-tls.ts';
import type { ListenedServer, ListenSettings } from './listen-settings.ts';

/** Where the client came from and came to; all text is as nginx's variables show it. */
export interface ConnectionEnds {
  readonly id: number;
  /** The listener that accepted it; after a reload the one of the same address counts. */
  readonly listener: ListenSettings;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
  /** What the PROXY protocol said of it; undefined where it is not spoken, or said nothing of use. */
  readonly proxyHeader: ProxyHeader | undefined;
  /** The server that the TLS handshake was made for; undefined without TLS. */
  readonly tlsServer: ListenedServer | undefined;
  /** The client's side of that handshake; undefined without TLS. */
  readonly tls: ClientTls | undefined;
  /** Plain HTTP came to a port that speaks TLS: every request is answered with 400 (nginx's 497). */
  readonly plainOnTls: boolean;
}

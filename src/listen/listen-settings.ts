// What a listening socket is once the configuration has been read: its address, its options, its servers.

import type { Exchange, ServerSettings } from '../exchange/exchange.ts';
import type { TlsSettings } from './tls-settings.ts';

/** Where a listening socket stands. `key` is its identity over reloads: `127.0.0.1:80`, `[::]:443`, `unix:/run/x.sock`. */
export type ListenAddress =
  | {
      readonly key: string;
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly ipv6Only: boolean;
    }
  | { readonly key: string; readonly kind: 'unix'; readonly path: string };

/** Options of the socket itself, which all servers on that address share. */
export interface SocketOptions {
  /** Length of the queue of connections not yet accepted; nginx's default on Linux is 511. */
  readonly backlog: number;
  /** TCP keepalive of accepted connections: undefined leaves the system's setting, `idle` and `interval` in ms (0: the system's). */
  readonly soKeepalive:
    | { readonly on: boolean; readonly idle: number; readonly interval: number; readonly count: number }
    | undefined;
}

/** One server as a listener knows it. */
export interface ListenedServer {
  readonly settings: ServerSettings;
  /** Undefined where the server has no certificate: the certificate of the listener's default server is shown instead. */
  readonly tls: TlsSettings | undefined;
  /** `ssl_reject_handshake`: nobody gets through a handshake for this server. */
  readonly rejectsHandshake: boolean;
}

export interface ListenSettings {
  readonly address: ListenAddress;
  readonly options: SocketOptions;
  /** `listen … ssl`: every connection begins with a TLS handshake. */
  readonly ssl: boolean;
  /** `listen … proxy_protocol`. */
  readonly proxyProtocol: boolean;
  readonly defaultServer: ListenedServer;
  /** The server of a name (lower case, no port); the default one where none has it. Sets the exchange's captures for a regex name. */
  find(name: string, exchange?: Exchange): ListenedServer;
}

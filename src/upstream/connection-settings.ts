// How connections to peers are made and watched, for one location.

import type { UpstreamTls } from './upstream-tls.ts';

/**
 * One object for each location with `proxy_pass`: it also stands for the location where connections are kept for the one that
 * made them (`keepalive … local`). Times in ms, sizes in bytes.
 */
export interface ConnectionSettings {
  /** `proxy_connect_timeout`. Default: 60 s. */
  readonly connectTimeout: number;
  /** `proxy_send_timeout`: between two steps of writing. Default: 60 s. */
  readonly sendTimeout: number;
  /** `proxy_read_timeout`: between two steps of reading, and until the answer begins. Default: 60 s. */
  readonly readTimeout: number;
  /** `proxy_buffer_size`: the longest head of an answer. Default: 4 or 8 KB. */
  readonly headSize: number;
  /** `proxy_socket_keepalive`: TCP keepalive. Default: no. */
  readonly socketKeepalive?: boolean;
  /** `proxy_pass https://`. */
  readonly tls: UpstreamTls | undefined;
}

// What proxy_pass is for one location, once the configuration has been read. Times in ms, sizes in bytes.

import type { Exchange, Text } from '../exchange/exchange.ts';
import type { NextUpstreamSettings } from '../upstream/attempts.ts';
import type { ConnectionSettings } from '../upstream/connection-settings.ts';
import type { LocalAddress } from '../upstream/local-address.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { SpoolSettings } from './answer-spool.ts';
import type { StoreSettings } from './answer-store.ts';

/** Where an exchange is to go. */
export interface ProxyTarget {
  readonly upstream: Upstream;
  /** The URI part of proxy_pass; undefined passes the client's own on. */
  readonly uri: string | undefined;
  /** What `$proxy_host` says: the name or address as proxy_pass has it, with its port unless that is the scheme's own. */
  readonly host: string;
  /** What `$proxy_port` says. */
  readonly port: string;
}

/** A target whose name has yet to be resolved. */
export interface UnresolvedTarget {
  readonly name: string;
  targetOf(addresses: readonly string[]): ProxyTarget;
}

/** Changes fields of `exchange.answer`, from the one at `from` on: before it stand those that are not the peer's. */
export type AnswerChange = (exchange: Exchange, from: number) => void;

export interface ProxySettings {
  readonly scheme: 'http' | 'https';
  /** The target is known beforehand, unless proxy_pass has variables; a string says why there is none (for the error log). */
  readonly target: ProxyTarget | ((exchange: Exchange) => ProxyTarget | UnresolvedTarget | string);
  /** So many characters of the URI are replaced by the URI part of proxy_pass: the length of the location's prefix; -1: all of it. */
  readonly replacedLength: number;
  readonly httpVersion: 10 | 11;
  /** proxy_method: instead of the client's own. */
  readonly method: Text | undefined;
  /** proxy_set_body: instead of the client's own. */
  readonly body: Text | undefined;
  /** proxy_set_header, and what is set by default; an empty value sends no such field. In order, names lower-case beside. */
  readonly setHeaders: readonly { readonly name: string; readonly lowerName: string; readonly value: Text }[];
  /** The names in `setHeaders`: the client's own fields of these names are not passed on. */
  readonly setNames: ReadonlySet<string>;
  readonly passRequestHeaders: boolean;
  readonly passRequestBody: boolean;
  /** Lower-case names of answer fields that the client does not get. */
  readonly hideHeaders: ReadonlySet<string>;
  /** proxy_ignore_headers: lower-case names of answer fields that say nothing to us. */
  readonly ignoreHeaders: ReadonlySet<string>;
  /** What changes the fields of an answer that is passed on: proxy_redirect, proxy_cookie_…; in order. */
  readonly changes: readonly AnswerChange[];
  /** Response trailers are passed on: proxy_pass_trailers. */
  readonly passTrailers: boolean;
  /** A range of an answer is sent although the peer has said nothing of ranges: proxy_force_ranges. */
  readonly forceRanges: boolean;
  readonly requestBuffering: boolean;
  readonly buffering: boolean;
  /** So much of an answer may wait in memory for a slow client: proxy_buffers together. */
  readonly buffersSize: number;
  /** What a slow client has not taken beyond that waits in a file; undefined: at the peer. */
  readonly spool: SpoolSettings | undefined;
  /** proxy_store: answers become files; undefined: they do not. */
  readonly store: StoreSettings | undefined;
  /** proxy_limit_rate: bytes of an answer that are read in a second, 0 for any number. */
  readonly readRate: ((exchange: Exchange) => number) | undefined;
  /** The peer's answer is waited for, whether or not the client does: proxy_ignore_client_abort, and proxy_store. */
  readonly ignoreClientAbort: boolean;
  readonly interceptErrors: boolean;
  readonly next: NextUpstreamSettings;
  /** proxy_ssl_name: whom the peer's certificate must be for. */
  readonly tlsName: Text;
  /** proxy_bind: the address to connect from, perhaps with a port; undefined: none. */
  readonly from: ((exchange: Exchange) => LocalAddress | undefined) | undefined;
  /** Timeouts, buffer for the head, TLS: what upstream/ needs for a connection. */
  readonly connection: ConnectionSettings;
  /** Where the certificate that we show is named by variables: instead of `connection`; a string says why there is none. */
  readonly chooseConnection?: ((exchange: Exchange) => ConnectionSettings | string) | undefined;
}

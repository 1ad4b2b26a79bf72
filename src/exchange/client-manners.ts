// How clients are met: what they may send, how long they may take, how their connections go on. Plain settings, whoever reads them.

import type { TempFolder } from './kept-body.ts';

/** What a location says of it. Times in ms, sizes in bytes. */
export interface ClientManners {
  readonly clientMaxBodySize: number;
  readonly clientBodyTimeout: number;
  readonly clientBodyBufferSize: number;
  /** Where what does not fit into that waits. */
  readonly clientBodyFolder: TempFolder;
  /** Whether every body is written to a file, and whether that stays. */
  readonly clientBodyInFile: 'off' | 'clean' | 'on';
  readonly sendTimeout: number;
  readonly keepaliveTimeout: number;
  /** The `Keep-Alive: timeout=` that is told to the client, in seconds; 0: not told. */
  readonly keepaliveHeader: number;
  readonly keepaliveRequests: number;
  /** So long after it was accepted a connection gets no further request. */
  readonly keepaliveTime: number;
  /** So long an idle connection stays when the gateway leaves. */
  readonly keepaliveMinTimeout: number;
  /** The browsers that get no further request on a connection, as bits; see listen/keep-alive.ts. */
  readonly keepaliveDisable: number;
  /** off: an answer of unknown length ends with its connection. */
  readonly chunkedTransferEncoding: boolean;
  readonly lingeringClose: 'on' | 'off' | 'always';
  readonly lingeringTime: number;
  readonly lingeringTimeout: number;
  readonly resetTimedoutConnection: boolean;
}

/** What a server says of it, before a location is known. Times in ms, sizes in bytes. */
export interface HeadRules {
  readonly clientHeaderTimeout: number;
  readonly clientHeaderBufferSize: number;
  readonly largeClientHeaderBuffers: { readonly number: number; readonly size: number };
  readonly maxHeaders: number;
  readonly ignoreInvalidHeaders: boolean;
  readonly underscoresInHeaders: boolean;
  readonly mergeSlashes: boolean;
}

/** What a server wants of its clients' certificates. */
export interface ClientVerification {
  /** Without one a request is refused: nginx's 496. */
  readonly required: boolean;
  /** One that is not signed by somebody we trust is no mistake: `optional_no_ca`. */
  readonly anyAuthority: boolean;
  /** `ssl_verify_depth`: how many certificates may stand between the client's and the one that is trusted. */
  readonly depth: number;
  /** Tells apart what certificates are verified by: authorities, revocations, depth. '': by whatever the handshake was made with. */
  readonly rules: string;
}

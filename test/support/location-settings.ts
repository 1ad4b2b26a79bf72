// Settings of a location and of a server with nginx's defaults, for tests that say only what matters to them.

import type { ErrorLog } from '../../src/diagnostics/error-log.ts';
import type { LocationSettings, ServerSettings } from '../../src/exchange/settings.ts';

const silent: ErrorLog = { enabled: () => false, write() {} };

export function locationSettings(settings: Partial<LocationSettings> = {}): LocationSettings {
  return { ...DEFAULTS, ...settings };
}

/** The server has no locations: what is `outside` of them holds for every URI. */
export function serverSettings(outside: LocationSettings, settings: Partial<ServerSettings> = {}): ServerSettings {
  return {
    name: 'localhost',
    locations: { find: () => undefined, named: () => undefined },
    outside,
    postRead: [],
    rewrite: [],
    verifyClient: undefined,
    clientHeaderTimeout: 60_000,
    clientHeaderBufferSize: 1024,
    largeClientHeaderBuffers: { number: 4, size: 8192 },
    maxHeaders: 1000,
    ignoreInvalidHeaders: true,
    underscoresInHeaders: false,
    mergeSlashes: true,
    ...settings,
  };
}

const DEFAULTS: LocationSettings = {
  name: '',
  kind: 'prefix',
  internal: false,
  limitExcept: undefined,
  autoRedirect: false,
  rewrite: [],
  preaccess: [],
  access: [],
  satisfyAny: false,
  authDelay: 0,
  precontent: [],
  content: [],
  headerFilters: [],
  log: [],
  warnsOfUnset: true,
  errorPages: [],
  errorLog: silent,
  logSubrequest: false,
  documentRoot: () => '/nowhere',
  filePath: (_exchange, uri) => `/nowhere${uri}`,
  openFiles: undefined,
  symlinks: undefined,
  types: new Map(),
  defaultType: 'text/plain',
  clientMaxBodySize: 1024 * 1024,
  clientBodyTimeout: 60_000,
  clientBodyFolder: { path: '/nowhere', levels: [] },
  clientBodyInFile: 'off',
  earlyHints: undefined,
  clientBodyBufferSize: 16 * 1024,
  sendTimeout: 60_000,
  limitRate: undefined,
  limitRateAfter: undefined,
  keepaliveTimeout: 75_000,
  keepaliveHeader: 0,
  keepaliveRequests: 1000,
  keepaliveTime: 3_600_000,
  keepaliveMinTimeout: 0,
  keepaliveDisable: 1,
  chunkedTransferEncoding: true,
  lingeringClose: 'on',
  lingeringTime: 30_000,
  lingeringTimeout: 5000,
  resetTimedoutConnection: false,
  serverTokens: 'on',
  logNotFound: true,
  recursiveErrorPages: false,
  msiePadding: true,
  msieRefresh: false,
  absoluteRedirect: true,
  portInRedirect: true,
  serverNameInRedirect: false,
  compression: { vary: false, httpVersion: 11, proxied: new Set(['off']), disabledFor: () => false },
  websocket: {
    upgrade: 'auto',
    allowsOrigin: undefined,
    subprotocols: undefined,
    extensions: undefined,
    ping: 'auto',
    closeTimeout: 5000,
    drainCode: 1012,
    connectWait: undefined,
    log: 'close',
  },
  etag: true,
  maxRanges: 0x7fffffff,
  ifModifiedSince: 'exact',
};

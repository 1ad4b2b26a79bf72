// Every module, in the order in which nginx runs them. Leaving one out is deleting its line.

import { access } from './access.ts';
import { authBasic } from './auth-basic.ts';
import { authRequest } from './auth-request.ts';
import { autoindex } from './autoindex.ts';
import { charset } from './charset.ts';
import { core } from './core.ts';
import { emptyGif } from './empty-gif.ts';
import { events } from './events.ts';
import { geo } from './geo.ts';
import { gunzip } from './gunzip.ts';
import { gzip } from './gzip.ts';
import { gzipStatic } from './gzip-static.ts';
import { headers } from './headers.ts';
import { healthCheck } from './health-check.ts';
import { httpCore } from './http-core.ts';
import { http2 } from './http-v2.ts';
import { httpVariables } from './http-variables.ts';
import { indexPage } from './index-page.ts';
import { limitConn } from './limit-conn.ts';
import { limitReq } from './limit-req.ts';
import { log } from './log.ts';
import { map } from './map.ts';
import type { Module } from './module.ts';
import { proxy } from './proxy.ts';
import { proxyCache } from './proxy-cache.ts';
import { randomIndex } from './random-index.ts';
import { realIp } from './real-ip.ts';
import { referer } from './referer.ts';
import { rewrite } from './rewrite.ts';
import { secureLink } from './secure-link.ts';
import { splitClients } from './split-clients.ts';
import { ssi } from './ssi.ts';
import { ssl } from './ssl.ts';
import { staticFiles } from './static.ts';
import { stubStatus } from './stub-status.ts';
import { subFilter } from './sub-filter.ts';
import { tryFiles } from './try-files.ts';
import { tuning } from './tuning.ts';
import { upstream } from './upstream.ts';
import { websocket } from './websocket.ts';
import { websocketStatus } from './websocket-status.ts';

export const allModules: readonly Module[] = [
  core,
  events,
  // Settings of a location must stand before a handler of it is made.
  httpCore,
  httpVariables,
  geo,
  map,
  splitClients,
  referer,
  secureLink,
  upstream,
  ssl,
  http2,
  realIp,
  limitReq,
  limitConn,
  websocket,
  rewrite,
  // The access phase, in this order.
  access,
  authBasic,
  authRequest,
  tryFiles,
  proxy,
  // Looks at what the proxy has made of its location.
  healthCheck,
  proxyCache,
  emptyGif,
  stubStatus,
  websocketStatus,
  // Content where no other handler answers, in this order.
  randomIndex,
  indexPage,
  autoindex,
  gzipStatic,
  staticFiles,
  // Filters of the answer, in this order.
  headers,
  gunzip,
  subFilter,
  charset,
  ssi,
  gzip,
  log,
  tuning,
];

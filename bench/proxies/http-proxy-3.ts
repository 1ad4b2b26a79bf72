// http-proxy-3 as its README sets it up, as a program: node http-proxy-3.ts PORT TLS-PORT PEER-PORT CERTIFICATE KEY

import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { createProxyServer } from 'http-proxy-3';

const [port, tlsPort, peerPort, certificate = '', key = ''] = process.argv.slice(2);

const target = `http://127.0.0.1:${peerPort}`;
const pages = createProxyServer({ target, agent: new http.Agent({ keepAlive: true }) });
const tunnels = createProxyServer({ target, ws: true });
pages.on('error', (_error, _request, response) => response.destroy());
tunnels.on('error', (_error, _request, socket) => socket.destroy());

const secrets = { cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.3' as const };
for (const [server, at] of [[http.createServer(), port] as const, [https.createServer(secrets), tlsPort] as const]) {
  // The other proxies keep an idle connection for ten minutes too: rounds are measured in turn.
  server.keepAliveTimeout = 600_000;
  server.on('request', (request, response) => pages.web(request, response));
  server.on('upgrade', (request, socket, head) => tunnels.ws(request, socket, head));
  server.listen(Number(at), '127.0.0.1', 4096);
}

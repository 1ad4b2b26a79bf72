// The configuration of HAProxy: the same work as nginx-conf.ts, one thread.

import type { Setup } from './proxy-program.ts';

export function haproxyCfg({ port, tlsPort, peerPort, certificate, connectionsMost }: Setup): string {
  return `global
    nbthread 1
    maxconn ${connectionsMost}
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    http-reuse always
    timeout connect 10s
    timeout client 10m
    timeout server 10m
    timeout tunnel 10m
    timeout http-keep-alive 10m

listen peer
    bind 127.0.0.1:${port} backlog 4096
    bind 127.0.0.1:${tlsPort} backlog 4096 ssl crt ${certificate.both}
    server peer 127.0.0.1:${peerPort} pool-max-conn 64
`;
}

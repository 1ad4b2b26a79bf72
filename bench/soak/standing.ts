// What stands in every scenario: a gateway with one worker, its peer, and a crowd of tunnels through it.

import { readFileSync } from 'node:fs';
import { freePorts } from '../ports.ts';
import { Crowd } from './crowd-processes.ts';
import { Gateway } from './gateway.ts';
import { PeerProcess } from './peer-process.ts';
import type { Setting } from './scenario.ts';

/** Open files of the gateway besides the two of each tunnel. */
const FILES_MORE = 500;

/** Directives of the scenario. */
export interface Wish {
  readonly tunnels: number;
  readonly main?: string;
  readonly http?: string;
  readonly server?: string;
  /** Whether the gateway is looked into; see `Launch`. */
  readonly looksInside?: boolean;
}

export interface Standing {
  readonly gateway: Gateway;
  readonly peer: PeerProcess;
  readonly crowd: Crowd;
  readonly port: number;
  /** The configuration for another wish. */
  readonly configuration: (wish: Wish) => string;
}

function configurationOf(port: number, peerPort: number, wish: Wish): string {
  const { tunnels, main = '', http = '', server = '' } = wish;
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile ${tunnels * 2 + FILES_MORE};
pid gateway.pid;
error_log error.log notice;
${main}
events { worker_connections ${tunnels * 2 + FILES_MORE}; }
http {
    access_log off;
    ${http}
    server {
        listen 127.0.0.1:${port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        ${server}
        location /tunnel { proxy_pass http://127.0.0.1:${peerPort}; }
    }
}
`;
}

/** What is wrong with so many tunnels on this machine; undefined for nothing. */
export function tooMany(tunnels: number): string | undefined {
  const limit = Number(
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity,
  );
  const wanted = tunnels * 2 + FILES_MORE;
  return wanted > limit ? `${tunnels} tunnels need ${wanted} open files; ulimit -n allows ${limit}` : undefined;
}

/** Starts all but the tunnels. */
export async function stand({ program, folder }: Setting, wish: Wish): Promise<Standing> {
  const peer = await PeerProcess.start();
  const [port = 0] = await freePorts(1);
  const configuration = (next: Wish): string => configurationOf(port, peer.port, next);
  const gateway = await Gateway.launch({
    program,
    folder,
    configuration: configuration(wish),
    ports: [port],
    peerPorts: [peer.port],
    looksInside: wish.looksInside ?? false,
  });
  return { gateway, peer, crowd: new Crowd(port, wish.tunnels), port, configuration };
}

// The gateway under soak: its configuration, its start, and what can be seen of it from outside.

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from '../certificate.ts';
import { Child } from '../children.ts';
import { untilAccepting } from '../ports.ts';
import { cpuMicroseconds, memoryBytes, processTree } from '../process-cost.ts';
import type { Doors } from './client.ts';
import { type Alive, Inspector, inspectorAddress } from './inspector.ts';

/** What must be back where it began. */
export interface State {
  readonly openFiles: number;
  readonly socketsToPeers: number;
  readonly memoryBytes: number;
  /** What a Node program holds on to; undefined for another one. */
  readonly alive: Alive | undefined;
}

export interface Plan extends Doors {
  /** `bin/sockgate`, or another program with nginx's options and configuration. */
  readonly program: string;
  readonly folder: string;
  readonly workers: number;
  readonly atOnce: number;
  readonly certificate: CertificateFiles;
  readonly peerPort: number;
  readonly mortalPort: number;
}

function configuration({ workers, atOnce, certificate, ...ports }: Plan): string {
  return `daemon off;
worker_processes ${workers};
worker_rlimit_nofile ${atOnce * 2 + 500};
pid gateway.pid;
error_log error.log warn;

events {
    worker_connections ${Math.ceil(atOnce * 2.5) + 400};
}

http {
    access_log access.log;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    # A peer that misbehaves is asked again all the same.
    upstream peer {
        server 127.0.0.1:${ports.peerPort} max_fails=0;
    }
    upstream mortal {
        server 127.0.0.1:${ports.mortalPort} max_fails=0;
    }

    server {
        listen 127.0.0.1:${ports.port} backlog=4096;
        listen 127.0.0.1:${ports.tlsPort} ssl backlog=4096;
        ssl_certificate ${certificate.certificate};
        ssl_certificate_key ${certificate.key};

        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";

        location /tunnel {
            proxy_pass http://peer;
        }
        location /hasty {
            proxy_pass http://peer;
            proxy_read_timeout 3s;
            websocket_ping off;
        }
        location /mortal {
            proxy_pass http://mortal;
        }
    }
}
`;
}

/** How a gateway is started, whatever its configuration is for. */
export interface Launch {
  readonly program: string;
  readonly folder: string;
  readonly configuration: string;
  /** Where it listens. */
  readonly ports: readonly number[];
  readonly peerPorts: readonly number[];
  /** Whether `state` looks inside, too; that costs some memory. */
  readonly looksInside: boolean;
}

const linesOf = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
};

function linksOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(join(folder, fd));
    } catch {
      return ''; // closed meanwhile
    }
  });
}

export class Gateway {
  readonly #child: Child;
  readonly #launch: Launch;
  readonly #inspector: Inspector | undefined;

  private constructor(child: Child, launch: Launch, inspector: Inspector | undefined) {
    this.#child = child;
    this.#launch = launch;
    this.#inspector = inspector;
  }

  static start(plan: Plan): Promise<Gateway> {
    return Gateway.launch({
      ...plan,
      configuration: configuration(plan),
      ports: [plan.port, plan.tlsPort],
      peerPorts: [plan.peerPort, plan.mortalPort],
      looksInside: true,
    });
  }

  static async launch(launch: Launch): Promise<Gateway> {
    const file = join(launch.folder, 'nginx.conf');
    writeFileSync(file, launch.configuration);
    const command = [launch.program, '-p', `${launch.folder}/`, '-e', 'error.log', '-c', file];
    const child = new Child(command, undefined, launch.looksInside ? { NODE_OPTIONS: '--inspect=127.0.0.1:0' } : {});
    await untilAccepting(child, launch.ports);
    const address = inspectorAddress(child.complaint);
    return new Gateway(child, launch, address === undefined ? undefined : await Inspector.connect(address));
  }

  /** Gives it another configuration, and tells it to read it. */
  reload(configuration: string): void {
    writeFileSync(join(this.#launch.folder, 'nginx.conf'), configuration);
    process.kill(this.#child.pid, 'SIGHUP');
  }

  /** How many lines of the error log match. */
  count(pattern: RegExp): number {
    return linesOf(join(this.#launch.folder, 'error.log')).filter((line) => pattern.test(line)).length;
  }

  /** CPU time of its processes so far, in microseconds. */
  cpuMicroseconds(): number {
    return cpuMicroseconds(processTree(this.#child.pid));
  }

  memoryBytes(): number {
    return memoryBytes(processTree(this.#child.pid));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === undefined;
  }

  get complaint(): string {
    return this.#child.complaint.trim();
  }

  async state(): Promise<State> {
    const alive = await this.#inspector?.look();
    const processes = processTree(this.#child.pid);
    const links = processes.flatMap(linksOf);
    return {
      openFiles: links.length,
      socketsToPeers: this.#socketsToPeers(new Set(links)),
      memoryBytes: memoryBytes(processes),
      alive,
    };
  }

  /** proc_net_tcp: the third field is the remote address in hexadecimal, the tenth the inode. */
  #socketsToPeers(links: ReadonlySet<string>): number {
    return linesOf('/proc/net/tcp').filter((line) => {
      const fields = line.trim().split(/\s+/);
      const remotePort = Number.parseInt(fields[2]?.split(':')[1] ?? '', 16);
      return this.#launch.peerPorts.includes(remotePort) && links.has(`socket:[${fields[9]}]`);
    }).length;
  }

  /** One line for each exchange that ended. */
  accessLogLines(): number {
    return linesOf(join(this.#launch.folder, 'access.log')).length;
  }

  /** Lines that say something is wrong with the gateway itself. */
  alarms(): string[] {
    const lines = [...linesOf(join(this.#launch.folder, 'error.log')), ...this.#child.complaint.split('\n')];
    return lines.filter((line) => /\[(alert|emerg)\]/.test(line));
  }

  /** Asks it to leave in order. Whether it did, with status 0, within that time. */
  async quit(milliseconds: number): Promise<boolean> {
    this.#inspector?.close(); // Node does not exit while somebody looks into it
    process.kill(this.#child.pid, 'SIGQUIT');
    const forced = setTimeout(() => this.#child.kill('SIGKILL'), milliseconds);
    await this.#child.exited;
    clearTimeout(forced);
    return this.#child.exitCode === 0;
  }
}

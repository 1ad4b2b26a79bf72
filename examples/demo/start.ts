// The demo: a gateway and three echo peers in one process, with a page to try them. `npm start` runs it.

import { readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
// In a program of your own: from 'sockgate'.
import { GatewayError, type RunningGateway, startGateway, VERSION } from '../../src/index.ts';
import { EchoPeer } from '../echo-peer.ts';
import { type CertificateFiles, makeCertificate } from '../make-certificate.ts';
import { adaptConf, hasIpv6, tryPort } from './demo-conf.ts';
import { DEFAULT_FILES, DEFAULT_PORTS, DemoError, type DemoOptions, readOptions, USAGE } from './demo-options.ts';

const FOLDER = import.meta.dirname;
const PROJECT = resolve(FOLDER, '../..');
const CONF = join(FOLDER, 'nginx.conf');
/** As they stand in nginx.conf. */
const PEER_PORTS = [9001, 9002, 9003] as const;
/** What Ctrl-C leaves to requests that run, in ms. WebSockets get their close frame then. */
const PATIENCE = 200;
const OTHER_FOLDER = 'choose another folder: npm start -- --files FOLDER';

class Demo {
  readonly #options: DemoOptions;
  readonly #peers: EchoPeer[] = [];
  #ipv6 = false;
  #certificate: CertificateFiles | undefined = undefined;
  #gateway: RunningGateway | undefined = undefined;
  #ending = false;

  constructor(options: DemoOptions) {
    this.#options = options;
  }

  /** @throws DemoError, GatewayError */
  async start(): Promise<void> {
    this.#ipv6 = await hasIpv6();
    await this.#expectFreePorts();
    this.#certificate = await this.#makeCertificate();
    const { peers } = this.#options;
    for (const index of PEER_PORTS.keys())
      this.#peers.push(await startPeer(`peer ${index + 1}`, peers === 0 ? 0 : peers + index));
    this.#gateway = await this.#startGateway();
    this.#obeySignals();
    console.log(this.#welcome());
  }

  async end(): Promise<void> {
    await this.#gateway?.quit(PATIENCE);
    await Promise.all(this.#peers.map((peer) => peer.close()));
  }

  async #expectFreePorts(): Promise<void> {
    const hosts = this.#ipv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
    for (const kind of ['http', 'https'] as const) {
      const port = this.#options[kind];
      for (const host of hosts) {
        const code = await tryPort(host, port);
        if (code !== undefined) throw new DemoError(portTrouble(kind, host, port, code));
      }
    }
  }

  async #makeCertificate(): Promise<CertificateFiles> {
    const { files } = this.#options;
    try {
      return await makeCertificate(files);
    } catch (error) {
      throw new DemoError(`no certificate can be kept in ${files}: ${(error as Error).message}\n${OTHER_FOLDER}`);
    }
  }

  async #startGateway(): Promise<RunningGateway> {
    try {
      return await startGateway({ configFile: CONF, configText: this.#conf() });
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'ERR_LOG_FILE') throw error;
      throw new DemoError(`${error.message}\n${OTHER_FOLDER}`);
    }
  }

  #conf(): string {
    const { http, https, files } = this.#options;
    const ports = new Map<number, number>(this.#peers.map(({ port }, index) => [PEER_PORTS[index] as number, port]));
    ports.set(DEFAULT_PORTS.http, http).set(DEFAULT_PORTS.https, https);
    const own = files === DEFAULT_FILES ? '.sockgate' : resolve(files);
    return adaptConf(readFileSync(CONF, 'utf8'), { ports, ipv6: this.#ipv6, files: own });
  }

  #obeySignals(): void {
    const end = (): void => void this.#signalledToEnd();
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    process.on('SIGHUP', () => void this.#reload());
  }

  async #signalledToEnd(): Promise<void> {
    // Once more: now.
    if (this.#ending) process.exit(1);
    this.#ending = true;
    console.log('\nending: WebSockets get a close frame (1012, service restart) …');
    await this.end();
    // What npm's own shell makes of Ctrl-C is not for us to say; this process ends well.
    process.exit(0);
  }

  async #reload(): Promise<void> {
    try {
      await this.#gateway?.reload(this.#conf());
      console.log('reloaded nginx.conf; open WebSockets go on');
    } catch (error) {
      console.log(`${(error as Error).message}\nthe old configuration goes on`);
    }
  }

  #welcome(): string {
    const { http, https, files } = this.#options;
    const peers = this.#peers.map(({ name, port }) => `${name} on 127.0.0.1:${port}`).join(', ');
    const kept = shown(files);
    const isNew = this.#certificate?.isNew === true ? 'made just now' : 'from an earlier start';
    return `sockgate ${VERSION} is running on Node ${process.versions.node}, on this machine only.

  page         http://localhost:${http}    https://localhost:${https}
  WebSocket    ws://localhost:${http}/websocket/    wss://localhost:${https}/websocket/
  upstream     ${peers} (in this process)
  nginx.conf   ${shown(CONF)}
  certificate  ${kept}/localhost.crt, signed by itself (${isNew}): the browser asks, curl wants -k
  access log   ${kept}/access.log

Try next
  Open the page: it shows which peer answers, and how long the round trip takes.
  The same from the terminal:
    npx wscat -c ws://localhost:${http}/websocket/
    npx wscat --no-check -c wss://localhost:${https}/websocket/
  sticky route: the first answer sets a cookie, which leads every later request and WebSocket to the same peer:
    curl -i -c jar.txt -b jar.txt http://localhost:${http}/websocket/
  A peer fails: send "/leave" by the page or by wscat. It is away for 15 s, another one takes over, the cookie follows.
  Change nginx.conf and reload; open WebSockets stay open:
    kill -HUP ${process.pid}
  A gateway of your own, by the same configuration (${shown(join(FOLDER, 'README.md'))} says more):
    cp -R ${shown(FOLDER)} ~/gateway && ${shown(join(PROJECT, 'bin/sockgate'))} -p ~/gateway -t

Ctrl-C ends it.`;
  }
}

/** On its port of nginx.conf; where that is taken, on another one. */
async function startPeer(name: string, port: number): Promise<EchoPeer> {
  const options = { name, say: (sentence: string) => console.log(sentence) };
  try {
    return await EchoPeer.start({ ...options, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return EchoPeer.start({ ...options, port: 0 });
  }
}

function portTrouble(kind: 'http' | 'https', host: string, port: number, code: string): string {
  const where = `port ${port} of ${host}`;
  const trouble: Readonly<Record<string, string>> = {
    EADDRINUSE: `${where}, for ${kind}, is taken by another program`,
    EACCES: `${where}, for ${kind}, needs more rights than you have: below 1024 ports are root's`,
  };
  const other = port === DEFAULT_PORTS[kind] ? port + 1 : DEFAULT_PORTS[kind];
  const mend = `choose another one: npm start -- --${kind} ${other} (or SOCKGATE_${kind.toUpperCase()}_PORT=${other} npm start)`;
  return `${trouble[code] ?? `${where}, for ${kind}, cannot be had: ${code}`}\n${mend}`;
}

/** As the reader would type it. */
function shown(path: string): string {
  const short = relative('', resolve(path));
  return short.startsWith('..') ? resolve(path) : short === '' ? '.' : short;
}

async function run(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    console.log(USAGE);
    return;
  }
  const demo = new Demo(options);
  try {
    await demo.start();
  } catch (error) {
    await demo.end();
    throw error;
  }
}

try {
  await run();
} catch (error) {
  if (!(error instanceof DemoError || error instanceof GatewayError)) throw error;
  console.error(`sockgate: ${error.message}`);
  process.exitCode = 1;
}

// Lines to syslog over UDP, as RFC 3164 has them. Nothing waits for the network: what it does not take at once is dropped and counted.
// https://nginx.org/en/docs/syslog.html

import { createSocket, type Socket } from 'node:dgram';
import { hostname } from 'node:os';
import type { Level } from './error-log.ts';
import { LEVELS } from './error-log.ts';
import type { LogFault } from './log-file.ts';
import { systemErrorCode } from './system-error.ts';

/** Numbers of RFC 3164 section 4.1.1, by nginx's names. */
export const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'intern',
  'lpr',
  'news',
  'uucp',
  'clock',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'cron',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

export interface SyslogTarget {
  readonly address: string;
  readonly port: number;
  readonly family: 'ipv4' | 'ipv6';
  readonly facility: (typeof FACILITIES)[number];
  /** Of lines that have no level of their own: those of an access log. */
  readonly severity: Level;
  readonly tag: string;
  readonly withHostname: boolean;
}

/** Messages that the kernel has not taken yet; more are dropped. */
const MOST_QUEUED = 256;
const REPORT_INTERVAL = 60_000;
/** A socket that sends nothing for so long is closed; the next line opens another one. */
const IDLE_TIME = 60_000;

/** One socket of this thread, for all that goes to one server. */
class SyslogServer {
  readonly #target: SyslogTarget;
  readonly #onFault: (fault: LogFault) => void;
  #socket: Socket | undefined = undefined;
  #sentAt = 0;
  #unreported = 0;
  #nextReport = 0;

  constructor(target: SyslogTarget, onFault: (fault: LogFault) => void) {
    this.#target = target;
    this.#onFault = onFault;
  }

  /** @param message a byte string */
  send(message: string): void {
    try {
      this.#socket ??= this.#open();
      this.#sentAt = Date.now();
      if (this.#socket.getSendQueueCount() >= MOST_QUEUED) this.#lose('EAGAIN');
      else this.#socket.send(Buffer.from(message, 'latin1'), this.#sent);
    } catch (error) {
      this.#close();
      this.#lose(systemErrorCode(error));
    }
  }

  /** The address is one already: nothing is looked up, and the first line leaves at once, too. */
  #open(): Socket {
    const { address, port, family } = this.#target;
    const number = family === 'ipv6' ? 6 : 4;
    const socket = createSocket({
      type: `udp${number}`,
      lookup: (host, _options, callback) => callback(null, host, number),
    });
    socket.on('error', (error) => {
      // Often what became of an earlier line: nobody listens there.
      if (this.#socket === socket) this.#close();
      this.#lose(systemErrorCode(error));
    });
    socket.unref();
    socket.connect(port, address);
    setTimeout(() => this.#closeIdle(socket), IDLE_TIME).unref();
    return socket;
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#lose(systemErrorCode(error));
  };

  #closeIdle(socket: Socket): void {
    if (this.#socket !== socket) return;
    const left = this.#sentAt + IDLE_TIME - Date.now();
    if (left <= 0) this.#close();
    else setTimeout(() => this.#closeIdle(socket), left).unref();
  }

  #close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #lose(code: string): void {
    this.#unreported++;
    const now = Date.now();
    if (now < this.#nextReport) return;
    // Set first: the report itself may be a line for this very server.
    this.#nextReport = now + REPORT_INTERVAL;
    const lost = this.#unreported;
    this.#unreported = 0;
    const { address, port, family } = this.#target;
    this.#onFault({ path: `syslog:${family === 'ipv6' ? `[${address}]` : address}:${port}`, code, lost });
  }
}

/** One `syslog:` of the configuration. Takes lines of an error log with their level, those of an access log without. */
export class Syslog {
  readonly #target: SyslogTarget;
  readonly #server: SyslogServer;
  readonly #facility: number;
  /** Behind the time. */
  readonly #from: string;

  constructor(target: SyslogTarget, server: SyslogServer) {
    this.#target = target;
    this.#server = server;
    this.#facility = FACILITIES.indexOf(target.facility) * 8;
    this.#from = target.withHostname ? ` ${hostname().toLowerCase()} ${target.tag}: ` : ` ${target.tag}: `;
  }

  /** @param line a byte string */
  write(line: string, level: Level = this.#target.severity): void {
    this.#server.send(`<${this.#facility + LEVELS.indexOf(level)}>${currentTime()}${this.#from}${line}`);
  }

  writeNow(line: string, level: Level): void {
    this.write(line, level);
  }
}

/** The syslog servers of a thread, by address. */
export class SyslogServers {
  readonly #servers = new Map<string, SyslogServer>();
  readonly #onFault: (fault: LogFault) => void;

  constructor(onFault: (fault: LogFault) => void) {
    this.#onFault = onFault;
  }

  log(target: SyslogTarget): Syslog {
    const key = `${target.address} ${target.port}`;
    const server = this.#servers.get(key) ?? new SyslogServer(target, this.#onFault);
    this.#servers.set(key, server);
    return new Syslog(target, server);
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let second = 0;
let secondAsText = '';

/** `Nov  3 09:05:01`, local time, made anew once a second. */
function currentTime(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now === second) return secondAsText;
  second = now;
  const date = new Date(now * 1000);
  const day = `${MONTHS[date.getMonth()]} ${`${date.getDate()}`.padStart(2)}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()];
  secondAsText = `${day} ${time.map((part) => `${part}`.padStart(2, '0')).join(':')}`;
  return secondAsText;
}

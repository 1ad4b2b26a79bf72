// One `health_check`: the peers of an upstream are asked again and again, each by one of the workers.
// https://nginx.org/en/docs/http/ngx_http_upstream_hc_module.html

import type { ErrorLog } from '../diagnostics/error-log.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { Peer } from './peer.ts';
import type { CheckRule } from './peer-health.ts';
import type { Upstream } from './upstream.ts';

/** How a check of one peer has ended. */
export interface ProbeOutcome {
  readonly passed: boolean;
  /** What was done last, as nginx's error log has it behind `while`: `connecting to upstream`, `checking status code` … */
  readonly action: string;
  /** What went wrong, for the error log: a fault of the connection (`error`), or what the peer did not fulfil (`info`). */
  readonly reason?: { readonly level: 'error' | 'info'; readonly text: string } | undefined;
}

/** One check of one peer under way. */
export interface RunningProbe {
  /** Gives up; nobody is told. */
  cancel(): void;
}

/** Checks peers. Each check ends by itself, in bounded time. */
export interface Prober {
  /** @param done told once, and not from inside this call */
  probe(peer: Peer, done: (outcome: ProbeOutcome) => void): RunningProbe;
  /** Nothing is checked any more: closes what it keeps. */
  close(): void;
}

/** Times in ms. */
export interface HealthCheckSettings extends CheckRule {
  readonly upstream: Upstream;
  /** From the end of one check to the next one; at least 1. */
  readonly interval: number;
  /** Each check waits a random time up to this. */
  readonly jitter: number;
  /** The name of its `match`, '' for none; and the port where that is not the server's own: for the log. */
  readonly matchName: string;
  readonly port: number | undefined;
  readonly prober: Prober;
  readonly log: ErrorLog;
}

export class HealthCheck {
  readonly settings: HealthCheckSettings;
  /** Its number among the checks of the upstream. */
  readonly number: number;
  #checked = new Map<Peer, PeerCheck>();
  #unwatch: (() => void) | undefined = undefined;

  /** Made while the configuration is read. */
  constructor(settings: HealthCheckSettings) {
    this.settings = settings;
    this.number = settings.upstream.addCheck(settings);
  }

  /** Its upstream has begun to serve. */
  start(): void {
    this.#follow();
    this.#unwatch = this.settings.upstream.whenPeersChange(() => this.#follow());
  }

  /** Other workers, or the same one by a newer configuration, go on with it. */
  stop(): void {
    this.#unwatch?.();
    for (const check of this.#checked.values()) check.stop();
    this.#checked.clear();
    this.settings.prober.close();
  }

  /** Those that stay are checked as before. */
  #follow(): void {
    const before = this.#checked;
    this.#checked = new Map();
    for (const peer of this.settings.upstream.peers) {
      if (peer.down) continue;
      this.#checked.set(peer, before.get(peer) ?? new PeerCheck(this, peer));
      before.delete(peer);
    }
    for (const gone of before.values()) gone.stop();
  }
}

/** The checks of one peer, one after the other. */
class PeerCheck implements DeadlineOwner {
  readonly #check: HealthCheck;
  readonly #peer: Peer;
  readonly #next = new Deadline(this);
  #probe: RunningProbe | undefined = undefined;

  /** The first check is made as soon as there is time. */
  constructor(check: HealthCheck, peer: Peer) {
    this.#check = check;
    this.#peer = peer;
    this.#wait(0);
  }

  stop(): void {
    this.#next.clear();
    this.#probe?.cancel();
    this.#probe = undefined;
    this.#peer.health.disown(this.#check.number);
  }

  /** Where another worker makes the check, this one looks again later: that one may have gone by then. */
  deadlineReached(): void {
    const { number, settings } = this.#check;
    if (this.#peer.health.own(number))
      this.#probe = settings.prober.probe(this.#peer, (outcome) => this.#ended(outcome));
    else this.#wait(settings.interval);
  }

  #wait(ms: number): void {
    this.#next.set(ms + Math.random() * this.#check.settings.jitter);
  }

  #ended({ passed, action, reason }: ProbeOutcome): void {
    const { number, settings } = this.#check;
    this.#probe = undefined;
    this.#wait(settings.interval);
    if (reason !== undefined) this.#log(reason.level, reason.text, action);
    const change = this.#peer.checked(number, passed);
    if (change !== undefined) this.#log(change === 'healthy' ? 'notice' : 'warn', `peer is ${change}`, action);
  }

  #log(level: 'error' | 'warn' | 'notice' | 'info', text: string, action: string): void {
    const { log, matchName, port, upstream } = this.#check.settings;
    if (!log.enabled(level)) return;
    const where = `health check "${matchName}" of peer ${this.#peer.name} in upstream "${upstream.name}"`;
    log.write(level, `${text} while ${action}, ${where}${port === undefined ? '' : `, port ${port}`}`);
  }
}

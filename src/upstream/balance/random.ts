// nginx's random: any peer, by weight; with `two`, the better of two such.

import type { Peer } from '../peer.ts';
import type { Balancer, Selection, Timing } from './balancer.ts';
import { type Chooser, pickOf } from './chooser.ts';
import type { Load } from './least-loaded.ts';
import { roundRobin } from './round-robin.ts';

/** So many peers that are not fit are drawn before turns decide; nginx's number. */
const TO_PASS = 20;

export class RandomPeer implements Balancer, Chooser {
  readonly timing: Timing | undefined;
  readonly #load: Load | undefined;
  readonly #random: () => number;

  /**
   * @param load what the better of two has less of; undefined: one peer is drawn, and that is it
   * @param random for tests: 0 to less than 1
   */
  constructor(load: Load | undefined, random: () => number = Math.random) {
    this.#load = load;
    this.timing = load?.timing;
    this.#random = random;
  }

  begin(): void {}

  pick(selection: Selection): Peer | undefined {
    if (selection.passed > TO_PASS || selection.group.peers.length < 2) return roundRobin.pick(selection);
    return pickOf(this, selection) ?? roundRobin.pick(selection);
  }

  choose(selection: Selection, now: number): number {
    const bound = selection.boundPeer(now);
    if (bound >= 0) return bound;
    const first = this.#draw(selection, now, -1);
    if (this.#load === undefined || first < 0) return first;
    const second = this.#draw(selection, now, first);
    // As in nginx: where no second one is found within the draws, turns decide.
    return second < 0 ? -1 : this.#better(selection, now, first, second, this.#load);
  }

  /** A peer that is fit, and not `other`; -1: too many draws were in vain. */
  #draw(selection: Selection, now: number, other: number): number {
    const { peers, totalWeight } = selection.group;
    while (selection.passed <= TO_PASS) {
      let left = Math.floor(this.#random() * totalWeight);
      let index = 0;
      while (index < peers.length - 1 && left >= (peers[index] as Peer).weight) left -= (peers[index++] as Peer).weight;
      if (index !== other && !selection.hasTried(index) && (peers[index] as Peer).isAvailable(now)) return index;
      selection.passed++;
    }
    return -1;
  }

  #better({ group }: Selection, now: number, first: number, second: number, load: Load): number {
    const one = group.peers[first] as Peer;
    const other = group.peers[second] as Peer;
    load.look(one);
    load.look(other);
    return load.of(other, now) * one.weight > load.of(one, now) * other.weight ? first : second;
  }
}

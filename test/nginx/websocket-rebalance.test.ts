// websocket_rebalance: after a peer has come, the surplus of the others is asked to connect again, until all have their share.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

/** A peer, and how a configuration names it. */
async function addressedPeer(t: TestContext) {
  const peer = await WsPeer.start(t);
  return { address: `127.0.0.1:${peer.port}`, peer };
}

/** Connects, and again whenever it is asked to go. */
class FaithfulClient {
  /** Neither connecting nor about to. */
  isSettled = false;
  #current: TalkingClient | undefined = undefined;
  #hasLeft = false;
  readonly #connect: () => Promise<TalkingClient>;

  constructor(connect: () => Promise<TalkingClient>) {
    this.#connect = connect;
  }

  async live(): Promise<void> {
    this.#current = await this.#connect();
    this.isSettled = true;
    this.#current.socket.once('close', (code: number) => {
      this.isSettled = false;
      if (code === 1012 && !this.#hasLeft) void this.live();
    });
  }

  leave(): void {
    this.#hasLeft = true;
    this.#current?.socket.terminate();
  }
}

for (const workers of [1, 2]) {
  test(`${workers === 1 ? 'one worker' : 'two workers'}: a server that a reload adds gets its share, and the others keep theirs`, async (t) => {
    const [one, two, three] = [await addressedPeer(t), await addressedPeer(t), await addressedPeer(t)];
    const port = await freePort();
    const confOf = (servers: readonly { address: string }[]): string => `
      worker_processes ${workers};
      events {}
      http {
          log_format ends '$upstream_addr $websocket_close_cause';
          access_log logs/ends.log ends;
          upstream app {
              websocket_rebalance on;
              ${servers.map(({ address }) => `server ${address};`).join(' ')}
          }
          server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; } }
      }`;
    const sockgate = await startSockgate(t, { conf: confOf([one, two]) });
    const clients = Array.from(
      { length: 60 },
      () => new FaithfulClient(() => TalkingClient.to(t, `ws://127.0.0.1:${port}/`)),
    );
    for (const client of clients) await client.live();
    assert.deepEqual(
      [one, two].map(({ peer }) => peer.open),
      [30, 30],
    );
    await sockgate.reload(confOf([one, two, three]), workers);
    const counts = (): number[] => [one, two, three].map(({ peer }) => peer.open);
    await until('the shares', () => {
      // One more than its share is left to a peer.
      const [all, isFair] = [counts().reduce((sum, count) => sum + count), counts().every((count) => count <= 21)];
      // A peer may not have seen yet that one of its clients is on its way back.
      return all === clients.length && isFair && clients.every(({ isSettled }) => isSettled);
    });
    const lines = sockgate
      .read('logs/ends.log')
      .split('\n')
      .filter((line) => line !== '');
    assert.deepEqual(new Set(lines), new Set([one, two].map(({ address }) => `${address} rebalance`)));
    assert.ok(lines.length <= 45, `${lines.length} were asked for the 20 that had to move`);
    for (const client of clients) client.leave();
  });
}

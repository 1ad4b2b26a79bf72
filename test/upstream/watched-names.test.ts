// Names of servers that are resolved again and again: peers that come, stay and go.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Resolver } from '../../src/resolver/resolver.ts';
import type { PeerSettings } from '../../src/upstream/peer.ts';
import { WatchedNames, type WatchedServer } from '../../src/upstream/watched-names.ts';
import { type DnsRecordWish, DnsServer } from '../support/dns-server.ts';
import { KeptLog } from '../support/running-server.ts';
import { peerSettings } from './make-upstream.ts';

type Zone = Readonly<Record<string, readonly DnsRecordWish[]>>;

const addresses = (...list: string[]): DnsRecordWish[] => list.map((data) => ({ type: 'A', data, ttl: 5 }));

class Scene {
  readonly log = new KeptLog();
  readonly server: DnsServer;
  readonly #context: TestContext;
  readonly #resolver: Resolver;
  #replaced: ((servers: readonly PeerSettings[]) => void)[] = [];
  readonly #unseen: (readonly PeerSettings[])[] = [];
  zone: Zone | number = {};

  static async make(context: TestContext, zone: Zone): Promise<Scene> {
    const server = await DnsServer.start(context, () => undefined);
    context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
    const scene = new Scene(context, server);
    scene.zone = zone;
    return scene;
  }

  private constructor(context: TestContext, server: DnsServer) {
    this.#context = context;
    this.server = server;
    this.server.behaviour = ({ name, type }) =>
      typeof this.zone === 'number' ? { code: this.zone } : { records: this.zone[`${name} ${type}`] ?? [] };
    const servers = [{ host: '127.0.0.1', port: server.port }];
    this.#resolver = new Resolver({ servers, valid: undefined, ipv4: true, ipv6: false }, () => {});
  }

  watch(server: Partial<WatchedServer>, fixed: readonly PeerSettings[] = [], former?: WatchedNames): WatchedNames {
    const template = peerSettings('app.test:80');
    const watched = [{ name: 'app.test', port: 80, service: undefined, template, ...server }];
    const names = new WatchedNames({ fixed, watched, resolver: this.#resolver, timeout: 2_000, log: this.log });
    names.start(former, (servers) => {
      const told = this.#replaced.shift();
      if (told === undefined) this.#unseen.push(servers);
      else told(servers);
    });
    this.#context.after(() => names.stop());
    return names;
  }

  /** The peers of the next change: name, weight, and whether it is a backup. */
  async next(): Promise<string[]> {
    const unseen = this.#unseen.shift();
    const servers = unseen ?? (await new Promise<readonly PeerSettings[]>((resolve) => this.#replaced.push(resolve)));
    return servers.map(({ name, weight, backup }) => `${name} ${weight}${backup ? ' backup' : ''}`);
  }

  /** What the last change said of servers. */
  pass(ms: number): void {
    this.#context.mock.timers.tick(ms);
  }

  /** Until the name server has been asked once more. */
  async asked(): Promise<void> {
    const { behaviour } = this.server;
    await new Promise<void>((resolve) => {
      this.server.behaviour = (question) => {
        this.server.behaviour = behaviour;
        // The answer has been taken when the loop has turned a few times.
        setImmediate(() => setImmediate(() => setImmediate(resolve)));
        return behaviour(question);
      };
    });
  }
}

describe('the peers of a name', () => {
  test('are its addresses, behind the peers that are always there', async (context) => {
    const scene = await Scene.make(context, { 'app.test A': addresses('127.0.0.2', '127.0.0.1') });
    scene.watch({}, [peerSettings('127.0.0.9:99')]);
    assert.deepEqual(await scene.next(), ['127.0.0.9:99 1', '127.0.0.1:80 1', '127.0.0.2:80 1']);
  });

  test('change when its addresses do, and only then', async (context) => {
    const scene = await Scene.make(context, { 'app.test A': addresses('127.0.0.1') });
    scene.watch({});
    assert.deepEqual(await scene.next(), ['127.0.0.1:80 1']);
    scene.zone = { 'app.test A': addresses('127.0.0.2', '127.0.0.1') };
    scene.pass(5_001);
    assert.deepEqual(await scene.next(), ['127.0.0.1:80 1', '127.0.0.2:80 1']);
    scene.zone = { 'app.test A': addresses('127.0.0.1', '127.0.0.2') };
    const asked = scene.asked();
    scene.pass(5_001);
    await asked;
    scene.zone = { 'app.test A': addresses('127.0.0.3') };
    scene.pass(5_001);
    assert.deepEqual(await scene.next(), ['127.0.0.3:80 1'], 'another order was no change');
  });

  test('go when it does not exist any more', async (context) => {
    const scene = await Scene.make(context, { 'app.test A': addresses('127.0.0.1') });
    scene.watch({}, [peerSettings('127.0.0.9:99')]);
    await scene.next();
    scene.zone = 3;
    scene.pass(5_001);
    assert.deepEqual(await scene.next(), ['127.0.0.9:99 1']);
    assert.deepEqual(scene.log.lines, ['[error] app.test could not be resolved (3: Host not found)']);
  });

  test('stay after any other failure, and it is tried again after the timeout', async (context) => {
    const scene = await Scene.make(context, { 'app.test A': addresses('127.0.0.1') });
    scene.watch({});
    await scene.next();
    scene.zone = 2;
    const asked = scene.asked();
    scene.pass(5_001);
    await asked;
    assert.deepEqual(scene.log.lines, ['[error] app.test could not be resolved (2: Server failure)']);
    scene.zone = { 'app.test A': addresses('127.0.0.2') };
    scene.pass(2_000);
    assert.deepEqual(await scene.next(), ['127.0.0.2:80 1']);
  });

  test('are taken over by the next configuration, with its own port, though no name server answers', async (context) => {
    const scene = await Scene.make(context, { 'app.test A': addresses('127.0.0.1') });
    const former = scene.watch({});
    await scene.next();
    scene.zone = 2;
    scene.watch({ name: 'App.test', port: 8080 }, [], former);
    assert.deepEqual(await scene.next(), ['127.0.0.1:8080 1']);
  });
});

describe('the peers of a service', () => {
  const services = (...list: string[]): DnsRecordWish[] => list.map((data) => ({ type: 'SRV', data, ttl: 5 }));
  const hosts = { 'one.test A': addresses('127.0.0.1'), 'two.test A': addresses('127.0.0.2') };

  test('have its ports and weights; those of less important records are backups', async (context) => {
    const records = services('1 5 8001 one.test', '2 0 8002 two.test');
    const scene = await Scene.make(context, { ...hosts, '_http._tcp.app.test SRV': records });
    scene.watch({ service: 'http' });
    assert.deepEqual(await scene.next(), ['127.0.0.1:8001 5', '127.0.0.2:8002 1 backup']);
  });

  test('have the weight of the server where that has one', async (context) => {
    const scene = await Scene.make(context, { ...hosts, '_http._tcp.app.test SRV': services('1 5 8001 one.test') });
    scene.watch({ service: 'http', template: peerSettings('app.test:80', { weight: 3 }) });
    assert.deepEqual(await scene.next(), ['127.0.0.1:8001 3']);
  });

  test('are backups where the server is one, and only the most important of them', async (context) => {
    const records = services('1 5 8001 one.test', '2 0 8002 two.test');
    const scene = await Scene.make(context, { ...hosts, '_http._tcp.app.test SRV': records });
    scene.watch({ service: 'http', template: peerSettings('app.test:80', { backup: true }) });
    assert.deepEqual(await scene.next(), ['127.0.0.1:8001 5 backup']);
  });

  test('are those that can be found, and the others are told', async (context) => {
    const records = services('1 5 8001 one.test', '1 5 8002 gone.test');
    const scene = await Scene.make(context, { ...hosts, '_http._tcp.app.test SRV': records });
    scene.watch({ service: 'http' });
    assert.deepEqual(await scene.next(), ['127.0.0.1:8001 5']);
    const line = '[error] gone.test could not be resolved (3: Host not found) while resolving service http of app.test';
    assert.deepEqual(scene.log.lines, [line]);
  });
});

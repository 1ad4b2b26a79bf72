// The resolver against name servers of all kinds: good, slow, lying, silent.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type NameAnswer, Resolver, type ResolverSettings, type ServiceAnswer } from '../../src/resolver/resolver.ts';
import { type DnsBehaviour, DnsServer, dnsZone } from '../support/dns-server.ts';

interface Scene {
  readonly server: DnsServer;
  readonly resolver: Resolver;
  readonly complaints: string[];
  name(name: string, timeout?: number): Promise<NameAnswer>;
  service(name: string, service: string): Promise<ServiceAnswer>;
}

async function scene(
  context: TestContext,
  behaviour: DnsBehaviour,
  settings: Partial<ResolverSettings> = {},
): Promise<Scene> {
  const server = await DnsServer.start(context, behaviour);
  const complaints: string[] = [];
  const servers = [{ host: '127.0.0.1', port: server.port }];
  const resolver = new Resolver({ servers, valid: undefined, ipv4: true, ipv6: false, ...settings }, (complaint) =>
    complaints.push(complaint),
  );
  return {
    server,
    resolver,
    complaints,
    name: (name, timeout = 5_000) =>
      new Promise((resolve) => {
        const answer = resolver.resolveName(name, timeout, resolve);
        if ('code' in answer) resolve(answer);
      }),
    service: (name, service) => new Promise((resolve) => resolver.resolveService(name, service, 5_000, resolve)),
  };
}

const ONE = [{ type: 'A', data: '127.0.0.1' }] as const;

describe('a name', () => {
  test('has its addresses of both kinds, IPv4 first', async (context) => {
    const zone = { 'a.test A': ONE, 'a.test AAAA': [{ type: 'AAAA', data: '::1' }] } as const;
    const { name } = await scene(context, dnsZone(zone), { ipv6: true });
    assert.deepEqual((await name('a.test')).addresses, ['127.0.0.1', '::1']);
  });

  test('is asked for only in the kinds that are wanted', async (context) => {
    const { name, server } = await scene(context, dnsZone({ 'a.test AAAA': [{ type: 'AAAA', data: '::1' }] }), {
      ipv4: false,
      ipv6: true,
    });
    assert.deepEqual((await name('a.test')).addresses, ['::1']);
    assert.equal(server.asked('a.test', 'A'), 0);
  });

  test('is the same in any case, and with a dot at its end', async (context) => {
    const { name, server } = await scene(context, dnsZone({ 'a.test A': ONE }));
    await name('A.test.');
    await name('a.TEST');
    assert.equal(server.questions.length, 1);
  });

  test('that has none is not found', async (context) => {
    const { name } = await scene(context, () => ({ code: 3 }));
    assert.equal((await name('a.test')).code, 3);
    assert.equal((await name('b..test')).code, 3);
  });

  test('is asked for once by all who wait for it', async (context) => {
    const { name, server } = await scene(context, dnsZone({ 'a.test A': ONE }));
    const answers = await Promise.all([name('a.test'), name('a.test'), name('a.test')]);
    assert.deepEqual(
      answers.map(({ addresses }) => addresses),
      [['127.0.0.1'], ['127.0.0.1'], ['127.0.0.1']],
    );
    assert.equal(server.questions.length, 1);
  });

  test('is followed through its other names', async (context) => {
    const zone = {
      'a.test A': [{ type: 'CNAME', data: 'b.test' }],
      'b.test A': [{ type: 'CNAME', data: 'c.test' }],
      'c.test A': ONE,
    } as const;
    const { name } = await scene(context, dnsZone(zone));
    assert.deepEqual((await name('a.test')).addresses, ['127.0.0.1']);
  });

  test('whose other names never end is not found', async (context) => {
    const next = (label: string): string => `${Number(label.split('.')[0]) + 1}.test`;
    const { name, server } = await scene(context, (question) => ({
      records: [{ type: 'CNAME', data: next(question.name) }],
    }));
    assert.equal((await name('0.test')).code, 3);
    assert.ok(server.questions.length <= 52);
  });
});

describe('an answer', () => {
  test('is remembered for its time to live, and not longer', async (context) => {
    context.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
    const { name, server } = await scene(context, () => ({ records: [{ type: 'A', data: '127.0.0.1', ttl: 2 }] }));
    assert.equal((await name('a.test')).validUntil, 1_002_000);
    context.mock.timers.tick(1_999);
    await name('a.test');
    assert.equal(server.questions.length, 1);
    context.mock.timers.tick(1);
    await name('a.test');
    assert.equal(server.questions.length, 2);
  });

  test('is remembered for as long as `valid` says', async (context) => {
    context.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
    const { name } = await scene(context, dnsZone({ 'a.test A': ONE }), { valid: 5_000 });
    assert.equal((await name('a.test')).validUntil, 1_005_000);
  });

  test('that says that something is wrong is not remembered', async (context) => {
    const { name, server, resolver } = await scene(context, () => ({ code: 2 }));
    assert.equal((await name('a.test')).code, 2);
    server.behaviour = dnsZone({ 'a.test A': ONE });
    assert.equal((await name('a.test')).code, 0);
    assert.equal(resolver.size, 1);
  });

  test('to another question, by another number, or of garbage is passed over', async (context) => {
    const lies: DnsBehaviour[] = [
      () => ({ idShift: 1, records: ONE }),
      () => ({ name: 'b.test', records: ONE }),
      () => ({ code: 1 }),
      () => Buffer.from('garbage'),
    ];
    const { name, complaints, server } = await scene(context, () => undefined);
    for (const lie of lies) {
      server.behaviour = lie;
      assert.equal((await name('a.test', 50)).code, 110);
    }
    assert.match(complaints[0] ?? '', /^wrong ident \d+ in DNS response for a\.test, expect \d+$/);
    assert.match(complaints[1] ?? '', /^unexpected DNS response for b\.test$/);
    assert.match(complaints[2] ?? '', /^DNS error \(1: Format error\), query id:\d+, name:"a\.test"$/);
    assert.equal(complaints[3], 'short DNS response');
  });

  test('that did not fit is asked for again over TCP', async (context) => {
    const { name, server } = await scene(context, ({ overTcp }) =>
      overTcp ? { records: ONE } : { truncated: true, records: [{ type: 'A', data: '127.0.0.9' }] },
    );
    assert.deepEqual((await name('a.test')).addresses, ['127.0.0.1']);
    assert.deepEqual(
      server.questions.map(({ overTcp }) => overTcp),
      [false, true],
    );
  });

  test('that did not fit into TCP either is none', async (context) => {
    const { name } = await scene(context, () => ({ truncated: true }));
    assert.equal((await name('a.test', 100)).code, 110);
  });
});

describe('name servers', () => {
  test('are asked in turn', async (context) => {
    const other = await DnsServer.start(context, dnsZone({ 'b.test A': ONE }));
    const first = await DnsServer.start(context, dnsZone({ 'a.test A': ONE }));
    const servers = [first, other].map(({ port }) => ({ host: '127.0.0.1', port }));
    const { name } = await scene(context, () => undefined, { servers });
    await name('a.test');
    await name('b.test');
    assert.deepEqual([first.questions.length, other.questions.length], [1, 1]);
  });

  test('that nobody runs are passed over at once', async (context) => {
    const gone = await DnsServer.open(() => undefined);
    const { port } = gone;
    gone.close();
    const there = await DnsServer.start(context, dnsZone({ 'a.test A': ONE }));
    const servers = [port, there.port].map((one) => ({ host: '127.0.0.1', port: one }));
    const { name, complaints } = await scene(context, () => undefined, { servers });
    assert.equal((await name('a.test')).code, 0);
    assert.match(complaints[0] ?? '', /failed \(111: Connection refused\) while resolving, resolver: 127\.0\.0\.1:/);
  });

  test('that there is no way to are passed over as well', async (context) => {
    const there = await DnsServer.start(context, dnsZone({ 'a.test A': ONE }));
    // Nobody may send to everybody without having said so.
    const servers = [
      { host: '255.255.255.255', port: 53 },
      { host: '127.0.0.1', port: there.port },
    ];
    const { name, complaints } = await scene(context, () => undefined, { servers });
    assert.equal((await name('a.test')).code, 0);
    assert.match(complaints[0] ?? '', /^connect\(\) failed \(13: Permission denied\) while resolving, resolver: /);
  });

  test('that are silent are asked again, the next one after 5 seconds', async (context) => {
    const second = await DnsServer.start(context, dnsZone({ 'a.test A': ONE }));
    const first = await DnsServer.start(context, () => undefined);
    const asked = new Promise<void>((resolve) => {
      first.behaviour = () => void resolve();
    });
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const servers = [first, second].map(({ port }) => ({ host: '127.0.0.1', port }));
    const { name } = await scene(context, () => undefined, { servers });
    const answer = name('a.test', 30_000);
    await asked;
    context.mock.timers.tick(5_000);
    assert.equal((await answer).code, 0);
  });
});

describe('who waits', () => {
  test('is told after the timeout that nobody answered', async (context) => {
    const { name, resolver } = await scene(context, () => undefined);
    assert.equal((await name('a.test', 20)).code, 110);
    assert.equal(resolver.size, 0);
  });

  test('may leave, and the others get their answer', async (context) => {
    const { name, server, resolver } = await scene(context, () => undefined);
    const left = resolver.resolveName('a.test', 5_000, () => assert.fail('it has left'));
    const answer = name('a.test');
    server.behaviour = dnsZone({ 'a.test A': ONE });
    assert.ok('cancel' in left);
    left.cancel();
    assert.equal((await answer).code, 0);
  });

  test('as the last one that leaves takes the question along', async (context) => {
    const { resolver } = await scene(context, () => undefined);
    const waiting = resolver.resolveName('a.test', 5_000, () => assert.fail('it has left'));
    assert.ok('cancel' in waiting);
    waiting.cancel();
    assert.equal(resolver.size, 0);
  });
});

describe('a service', () => {
  const zone = {
    '_http._tcp.a.test SRV': [
      { type: 'SRV', data: '2 0 8082 c.test' },
      { type: 'SRV', data: '1 5 8081 b.test' },
    ],
    'b.test A': ONE,
    'c.test A': [{ type: 'A', data: '127.0.0.2' }],
  } as const;

  test('has the addresses of its servers, the most important first', async (context) => {
    const { service } = await scene(context, dnsZone(zone));
    const { code, addresses } = await service('a.test', 'http');
    assert.equal(code, 0);
    assert.deepEqual(addresses, [
      { address: '127.0.0.1', port: 8081, priority: 1, weight: 5, name: 'b.test' },
      { address: '127.0.0.2', port: 8082, priority: 2, weight: 1, name: 'c.test' },
    ]);
  });

  test('may be written out', async (context) => {
    const { service } = await scene(context, dnsZone(zone));
    assert.equal((await service('a.test', '_http._tcp')).addresses.length, 2);
  });

  test('does without the servers that cannot be found, and says which they are', async (context) => {
    const { service } = await scene(context, dnsZone({ ...zone, 'c.test A': [] }));
    const { code, addresses, failures } = await service('a.test', 'http');
    assert.deepEqual([code, addresses.length, failures], [0, 1, [{ name: 'c.test', code: 3 }]]);
  });

  test('that is not there is not found', async (context) => {
    const { service } = await scene(context, dnsZone({}));
    assert.equal((await service('a.test', 'http')).code, 3);
  });
});

// A reload that removes a peer, a location or a listener: its tunnels are asked to go, and all others notice nothing.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';

interface Parties {
  /** `127.0.0.1:PORT` of two peers. */
  readonly one: string;
  readonly two: string;
  readonly port: number;
  readonly other: number;
}

interface Change {
  readonly what: string;
  /** What stands in `http` before and after. */
  readonly before: (parties: Parties) => string;
  readonly after: (parties: Parties) => string;
  /** Paths whose tunnels go, and whose stay; `other:` stands for the other port. */
  readonly leave: readonly string[];
  readonly stay: readonly string[];
}

const app = ({ one, two }: Parties, marks = '', names = 'app'): string =>
  `upstream ${names} { server ${one}; server ${two} ${marks}; }`;
/** `/one` and `/two` are bound to the first and the second peer by their routes. */
const routed = ({ one, two }: Parties, second = `server ${two} route=b;`): string => `
  map $uri $bound { /one a; /two b; }
  upstream app { server ${one} route=a; ${second} sticky route $bound; }`;
const server = ({ port }: Parties, inside: string): string => `server { listen 127.0.0.1:${port}; ${inside} }`;
const toApp = 'location / { proxy_pass http://app; }';

const changes: readonly Change[] = [
  {
    what: 'a server is taken from an upstream',
    before: (p) => routed(p) + server(p, toApp),
    after: (p) => routed(p, '') + server(p, toApp),
    leave: ['/two'],
    stay: ['/one'],
  },
  {
    what: 'a server is marked drain',
    before: (p) => routed(p) + server(p, toApp),
    after: (p) => routed(p, `server ${p.two} route=b drain;`) + server(p, toApp),
    leave: ['/two'],
    stay: ['/one'],
  },
  {
    what: 'a server is marked down',
    before: (p) => routed(p) + server(p, toApp),
    after: (p) => routed(p, `server ${p.two} route=b down;`) + server(p, toApp),
    leave: ['/two'],
    stay: ['/one'],
  },
  {
    what: 'a server that was to be drained before still is',
    before: (p) => routed(p, `server ${p.two} route=b drain;`) + server(p, toApp),
    after: (p) => routed(p, `server ${p.two} route=b drain weight=3;`) + server(p, toApp),
    leave: [],
    stay: ['/one', '/two'],
  },
  {
    what: 'a location goes, another one stays, and a third one leads elsewhere',
    before: (p) =>
      app(p) +
      server(
        p,
        `location /one { proxy_pass http://app; } location /two { proxy_pass http://app; } location ~ ^/three$ { proxy_pass http://${p.one}; }`,
      ),
    after: (p) =>
      app(p) +
      server(
        p,
        `location / { return 404; } location /one { proxy_pass http://app; gzip on; } location ~ ^/three$ { proxy_pass http://${p.two}; }`,
      ),
    leave: ['/two', '/three'],
    stay: ['/one'],
  },
  {
    what: 'a location no longer passes anything on',
    before: (p) =>
      server(p, `location /one { proxy_pass http://${p.one}; } location /two { proxy_pass http://${p.one}; }`),
    after: (p) => server(p, `location /one { proxy_pass http://${p.one}; } location /two { return 404; }`),
    leave: ['/two'],
    stay: ['/one'],
  },
  {
    what: 'one of two listeners goes',
    before: (p) => server(p, `listen 127.0.0.1:${p.other}; location / { proxy_pass http://${p.one}; }`),
    after: (p) => server(p, `location / { proxy_pass http://${p.one}; }`),
    leave: ['other:/'],
    stay: ['/'],
  },
  {
    what: 'variables name the peer, before and after',
    before: (p) => app(p) + server(p, `set $to ${p.one}; location / { proxy_pass http://$to; }`),
    after: (p) => app(p, 'weight=2') + server(p, `set $to ${p.one}; location / { proxy_pass http://$to; }`),
    leave: [],
    stay: ['/one', '/two'],
  },
  {
    what: 'variables name an upstream that goes',
    before: (p) => app(p, '', 'gone') + app(p) + server(p, 'location ~ ^/(app|gone) { proxy_pass http://$1; }'),
    after: (p) => app(p) + server(p, 'location ~ ^/(app|gone) { proxy_pass http://$1; }'),
    leave: ['/gone'],
    stay: ['/app'],
  },
  {
    what: 'an `if` in the location passes it on',
    before: (p) =>
      server(p, `location / { if ($uri = /one) { proxy_pass http://${p.one}; } proxy_pass http://${p.two}; }`),
    after: (p) => server(p, `location / { if ($uri = /one) { proxy_pass http://${p.one}; } root html; }`),
    leave: ['/two'],
    stay: ['/one'],
  },
  {
    what: 'nothing is changed but what does not concern them',
    before: (p) => app(p) + server(p, toApp),
    after: (p) =>
      `upstream more { server ${p.one}; }${app(p, 'max_fails=3')}${server(p, `location /new { return 204; } ${toApp}`)}`,
    leave: [],
    stay: ['/one', '/two'],
  },
];

async function start(t: TestContext, http: (parties: Parties) => string) {
  const [one, two] = [await WsPeer.start(t), await WsPeer.start(t)];
  const parties: Parties = {
    one: `127.0.0.1:${one.port}`,
    two: `127.0.0.1:${two.port}`,
    port: await freePort(),
    other: await freePort(),
  };
  const confOf = (inside: string): string => `
    events {}
    http {
        log_format ends '$request_uri $websocket_close_cause';
        access_log logs/ends.log ends;
        ${inside}
    }`;
  const sockgate = await startSockgate(t, { conf: confOf(http(parties)) });
  const connect = (path: string): Promise<TalkingClient> => {
    const [, isOther, uri = ''] = /^(other:)?(.*)$/.exec(path) ?? [];
    return TalkingClient.to(t, `ws://127.0.0.1:${isOther === undefined ? parties.port : parties.other}${uri}`);
  };
  return { sockgate, connect, reload: (after: Change['after']) => sockgate.reload(confOf(after(parties))) };
}

for (const { what, before, after, leave, stay } of changes) {
  test(`${what}: ${leave.join(', ') || 'nobody'} must go, ${stay.join(', ')} may stay`, async (t) => {
    const { sockgate, connect, reload } = await start(t, before);
    const leaving = await Promise.all(leave.map(connect));
    const staying = await Promise.all(stay.map(connect));
    await reload(after);
    for (const { closed } of leaving) assert.equal((await closed).code, 1012);
    // One look of the pacer more would have reached them, too.
    const later = await connect(stay[0] as string);
    assert.equal(await later.ask('new'), 'new');
    for (const client of staying) assert.equal(await client.ask('still there'), 'still there');
    const causes = sockgate
      .read('logs/ends.log')
      .split('\n')
      .filter((line) => line !== '');
    assert.deepEqual(causes.sort(), leave.map((path) => `${path.replace('other:', '')} removed by reload`).sort());
  });
}

test('a handshake that was under way at the reload that removes its peer is asked to go once it is a tunnel', async (t) => {
  const waiting: (() => void)[] = [];
  const slow = await WsPeer.start(t, {
    options: { verifyClient: (_: unknown, answer: (ok: boolean) => void) => void waiting.push(() => answer(true)) },
  });
  const { sockgate, connect } = await start(t, (p) =>
    server(p, `location / { proxy_pass http://127.0.0.1:${slow.port}; }`),
  );
  const client = connect('/');
  while (waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  sockgate.configure(sockgate.read('nginx.conf').replace(/proxy_pass [^;]*;/, 'return 404;'), '');
  sockgate.signal('SIGHUP');
  await sockgate.logged(/gracefully shutting down/);
  waiting[0]?.();
  assert.equal((await (await client).closed).code, 1012);
});

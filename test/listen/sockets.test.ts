// The listening sockets of one worker, on real addresses.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ErrorLog } from '../../src/diagnostics/error-log.ts';
import type { ListenAddress, ListenSettings, SocketOptions } from '../../src/listen/listen-settings.ts';
import { ListenError, ListeningSockets, type ListeningSocketsOptions, passingName } from '../../src/listen/sockets.ts';
import { freePort, freePorts } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

class Kept {
  readonly lines: string[] = [];
  readonly sockets: Socket[] = [];
  readonly keys: string[] = [];
  readonly log: ErrorLog = {
    enabled: () => true,
    write: (level, message) => void this.lines.push(`[${level}] ${message}`),
  };

  accept(key: string, socket: Socket): void {
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.splice(this.sockets.indexOf(socket), 1));
    socket.resume();
    this.sockets.push(socket);
    this.keys.push(key);
  }
}

function open(t: TestContext, kept: Kept, options: Partial<ListeningSocketsOptions> = {}): ListeningSockets {
  const sockets = new ListeningSockets({
    accept: (key, socket) => kept.accept(key, socket),
    inUse: () => kept.sockets.length,
    log: () => kept.log,
    ...options,
  });
  t.after(() => {
    sockets.close();
    for (const socket of [...kept.sockets]) socket.destroy();
  });
  return sockets;
}

const at = (where: number | string, options: Partial<SocketOptions> = {}): ListenSettings => {
  const address: ListenAddress =
    typeof where === 'string'
      ? { key: `unix:${where}`, kind: 'unix', path: where }
      : { key: `127.0.0.1:${where}`, kind: 'tcp', host: '127.0.0.1', port: where, ipv6Only: true };
  return { address, options: { backlog: 511, soKeepalive: undefined, ...options } } as ListenSettings;
};

async function dial(t: TestContext, where: number | string): Promise<Socket> {
  const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket;
}

test('connections come with the key of their address', async (t) => {
  const kept = new Kept();
  const [one = 0, other = 0] = await freePorts(2);
  const sockets = open(t, kept);
  await sockets.open([at(one), at(other)]);
  await dial(t, other);
  await until('the connection', () => kept.keys.length === 1);
  assert.deepEqual(kept.keys, [`127.0.0.1:${other}`]);
  assert.deepEqual(sockets.keys, [`127.0.0.1:${one}`, `127.0.0.1:${other}`]);
});

test('several workers share an address', async (t) => {
  const [one, other] = [new Kept(), new Kept()];
  const port = await freePort();
  await open(t, one).open([at(port)]);
  await open(t, other).open([at(port)]);
  await Promise.all(Array.from({ length: 40 }, () => dial(t, port)));
  await until('all connections', () => one.keys.length + other.keys.length === 40);
  assert.ok(one.keys.length > 0 && other.keys.length > 0, `${one.keys.length} and ${other.keys.length}`);
});

test('an address that is asked for again keeps its socket, and what waits in its queue', async (t) => {
  const kept = new Kept();
  const [stays = 0, goes = 0] = await freePorts(2);
  const sockets = open(t, kept);
  await sockets.open([at(stays), at(goes)]);
  const waiting = connect(stays, '127.0.0.1');
  t.after(() => waiting.destroy());
  await sockets.open([at(stays)]);
  sockets.closeOthers([at(stays)]);
  await until('the connection', () => kept.keys.length === 1);
  await assert.rejects(dial(t, goes), /ECONNREFUSED/);
});

test('an address that another program has is told in nginx’s words', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  await assert.rejects(open(t, new Kept()).open([at(port)]), (error) => {
    assert.ok(error instanceof ListenError);
    assert.equal(error.message, `bind() to 127.0.0.1:${port} failed (98: Address already in use)`);
    return true;
  });
});

test('the rights to listen are asked for once, and given back also where it fails', async (t) => {
  const said: string[] = [];
  const permit = async () => {
    said.push('asked');
    return () => void said.push('done');
  };
  const [port = 0, taken = 0] = await freePorts(2);
  const other = createServer().listen(taken, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const sockets = open(t, new Kept(), { permit });
  await sockets.open([at(port)]);
  await sockets.open([at(port)]);
  assert.deepEqual(said, ['asked', 'done']);
  await assert.rejects(sockets.open([at(port), at(taken)]));
  assert.deepEqual(said, ['asked', 'done', 'asked', 'done']);
});

test('a unix socket is handed from one worker to its successor without a gap', async (t) => {
  const [first, second] = [new Kept(), new Kept()];
  const path = join(temporaryFolder(t, {}), 'gate.sock');
  const old = open(t, first);
  await old.open([at(path)]);
  assert.equal(statSync(path).mode & 0o777, 0o666);
  await dial(t, path);
  await until('the first', () => first.keys.length === 1);
  await open(t, second).open([at(path)]);
  await dial(t, path);
  old.close();
  assert.ok(existsSync(path));
  await dial(t, path);
  await until('the others', () => second.keys.length === 2);
  assert.deepEqual(readdirSync(join(path, '..')), ['gate.sock']);
});

test('a worker that is not the one for unix sockets leaves them alone', async (t) => {
  const path = join(temporaryFolder(t, {}), 'gate.sock');
  const sockets = open(t, new Kept(), { takesUnix: false });
  await sockets.open([at(path)]);
  assert.equal(existsSync(path), false);
});

test('the passing name of a unix socket fits wherever its path fits', () => {
  for (const length of [20, 100, 106, 107]) {
    const path = `/${'d'.repeat(length - 3)}/s`;
    assert.ok(passingName(path).length <= 107);
    assert.ok(passingName(path).startsWith(path.slice(0, -1)));
  }
});

test('connections beyond worker_connections wait until others end, and that is said once', async (t) => {
  const kept = new Kept();
  const port = await freePort();
  const sockets = open(t, kept);
  sockets.workerConnections = 2;
  await sockets.open([at(port)]);
  const clients = await Promise.all(Array.from({ length: 5 }, () => dial(t, port)));
  await until('the first two', () => kept.keys.length === 2);
  await until('the message', () => kept.lines.length > 0);
  for (const { length } = clients; kept.keys.length < length; ) {
    const before = kept.keys.length;
    kept.sockets[0]?.destroy();
    await until('the next one', () => kept.keys.length > before);
    assert.ok(kept.sockets.length <= 2);
  }
  assert.deepEqual(kept.lines, ['[alert] 2 worker_connections are not enough']);
});

test('keepalive of accepted connections is set as asked, also by a later configuration', async (t) => {
  const kept = new Kept();
  const port = await freePort();
  const sockets = open(t, kept);
  await sockets.open([at(port)]);
  const keepsAlive = async (): Promise<boolean> => {
    const client = await dial(t, port);
    const { localPort } = client;
    const line = execFileSync('ss', ['-tno', `sport = :${port}`, `dport = :${localPort}`], { encoding: 'latin1' });
    return line.includes('timer:(keepalive');
  };
  if (!hasSs()) return t.skip('ss (iproute2) is not installed');
  assert.equal(await keepsAlive(), false);
  await sockets.open([at(port, { soKeepalive: { on: true, idle: 60_000, interval: 0, count: 0 } })]);
  assert.equal(await keepsAlive(), true);
});

function hasSs(): boolean {
  try {
    execFileSync('ss', ['-V']);
    return true;
  } catch {
    return false;
  }
}

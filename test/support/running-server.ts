// One server with the given settings behind a real gateway on a real socket, for tests that need no configuration file.

import { type AddressInfo, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import type { ErrorLog } from '../../src/diagnostics/error-log.ts';
import type { ServerSettings } from '../../src/exchange/settings.ts';
import { Gateway } from '../../src/gateway.ts';
import type { ListenSettings } from '../../src/listen/listen-settings.ts';
import type { Snapshot } from '../../src/snapshot.ts';
import { TunnelCounts } from '../../src/websocket/tunnel-counts.ts';
import { ConnectionCounts } from '../../src/zones/connection-counts.ts';

/** An error log that keeps its lines: `[level] message`, without what stands behind the first comma. */
export class KeptLog implements ErrorLog {
  readonly lines: string[] = [];

  enabled(): boolean {
    return true;
  }

  write(level: string, message: string): void {
    this.lines.push(`[${level}] ${message.replace(/, client: .*/s, '')}`);
  }
}

/** @returns the port on 127.0.0.1; everything is closed with the test */
export async function runServer(t: TestContext, settings: ServerSettings): Promise<number> {
  const gateway = new Gateway({ connectionNumbers: new Int32Array(new SharedArrayBuffer(4)) });
  const sockets = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
    gateway.accept('test', socket),
  );
  await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve));
  const { port } = sockets.address() as AddressInfo;
  gateway.apply(snapshotOf(settings, port), () => {});
  t.after(() => {
    gateway.stop();
    sockets.close();
  });
  return port;
}

function snapshotOf(settings: ServerSettings, port: number): Snapshot {
  const server = { settings, tls: undefined, rejectsHandshake: false };
  const listener: ListenSettings = {
    address: { key: 'test', kind: 'tcp', host: '127.0.0.1', port, ipv6Only: true },
    options: { backlog: 511, soKeepalive: undefined },
    ssl: false,
    proxyProtocol: false,
    defaultServer: server,
    find: () => server,
  };
  const snapshot = {
    listeners: [listener],
    connectionCounts: ConnectionCounts.alone(),
    tunnelCounts: TunnelCounts.alone(),
    use: { count: 0, retired: undefined },
  };
  return snapshot as unknown as Snapshot;
}

// A tunnel through a gateway, with the client and the peer in the hands of the test, and what the logs say of it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from './gateway-from-config.ts';
import { fieldOf } from './http-reader.ts';
import { RawClient } from './raw-client.ts';
import { rawFrame } from './raw-websocket.ts';
import { type BackendConnection, startBackend } from './recording-backend.ts';
import { until } from './until.ts';
import { openingHandshake, SWITCHING } from './websocket-handshake.ts';

export interface LoggedTunnelOptions {
  /** The line of the access log. */
  readonly format: string;
  /** Directives of the location and of `http`. */
  readonly location?: string;
  readonly http?: string;
  /** What the client sends to become a tunnel, and what the peer answers. */
  readonly request?: string;
  readonly answer?: string;
}

export class LoggedTunnel {
  readonly gateway: RunningGateway;
  readonly client: RawClient;
  readonly peer: BackendConnection;

  private constructor(gateway: RunningGateway, client: RawClient, peer: BackendConnection) {
    this.gateway = gateway;
    this.client = client;
    this.peer = peer;
  }

  /** Resolves once the client has its 101. */
  static async open(t: TestContext, options: LoggedTunnelOptions): Promise<LoggedTunnel> {
    const { format, location = '', http = '', request = openingHandshake('/ws?a'), answer = SWITCHING } = options;
    const backend = await startBackend(t, (asked) => (fieldOf(asked, 'upgrade') === undefined ? undefined : answer));
    const gateway = await gatewayFromConfig({
      http: `
        log_format tunnels '${format}';
        websocket_close_timeout 300ms;
        ${http}
        server {
          listen 127.0.0.1:8080;
          server_name front;
          access_log logs/tunnels.log tunnels;
          location / {
            proxy_pass http://${backend.address};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            ${location}
          }
        }`,
    });
    t.after(() => gateway.stop());
    const client = await RawClient.to(t, gateway.port());
    client.send(request);
    assert.equal((await client.answer()).status, 101);
    return new LoggedTunnel(gateway, client, await backend.connection());
  }

  get lines(): readonly string[] {
    return this.gateway.lines('logs/tunnels.log');
  }

  /** The line of its end, or of whatever is the `nth`. */
  line(nth = 1): Promise<string> {
    return until(`line ${nth} of the log`, () => this.lines[nth - 1]);
  }

  /** What the error log says in a line that fits, without its time and numbers: `[error] MESSAGE, client: …`. */
  complaint(expected: RegExp): Promise<string> {
    const complaints = () => this.gateway.lines().map((line) => line.replace(/^\S+ \S+ (\[\w+\]) \S+: \*\d+ /, '$1 '));
    return until(`${expected} in the error log`, () => complaints().find((line) => expected.test(line)));
  }

  /** The two send each other messages, and each has got the other's. */
  async talk(toPeer: readonly string[], toClient: readonly string[]): Promise<void> {
    const sent = toPeer.map((payload) => rawFrame({ opcode: 1, payload, masked: true }));
    const answered = toClient.map((payload) => rawFrame({ opcode: 1, payload }));
    const [before, beforePeer] = [this.client.rest.length, this.peer.rest.length];
    for (const frame of sent) this.client.send(frame);
    for (const frame of answered) this.peer.send(frame);
    const length = (frames: readonly Buffer[]): number => frames.reduce((sum, frame) => sum + frame.length, 0);
    await until('the messages', () => this.client.rest.length === before + length(answered));
    await until('the messages', () => this.peer.rest.length === beforePeer + length(sent));
  }

  /** Each side that is still there ends its half when the other one has: nothing waits for timeouts. */
  endInOrder(): void {
    for (const { socket } of [this.client, this.peer])
      if (!socket.readableEnded && !socket.destroyed) void once(socket, 'end').then(() => socket.end());
  }
}

/** A close frame with this code; of the client where it is masked. */
export function closeFrame(code: number, masked: boolean): Buffer {
  return rawFrame({ opcode: 8, payload: Buffer.from([code >> 8, code & 0xff]), masked });
}

// A client that goes while its body is being written to a temporary file: the file goes, too, with its name and its descriptor.

import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

/** The threads that read and write files are busy until all of these are done. */
function busyThreads(): Promise<void> {
  const threads = Array.from({ length: 8 }, () => {
    return new Promise((resolve) => pbkdf2('a', 'b', 200_000, 64, 'sha512', resolve));
  });
  return Promise.all(threads).then(() => {});
}

/** What of this folder the process has open. */
function openIn(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return [];
    }
  });
}

for (const [name, location] of [
  ['without a name', 'client_body_buffer_size 1k;'],
  ['with a name', 'client_body_in_file_only clean;'],
] as const) {
  test(`a body that has come whole is given up with its file, one ${name}, when the client goes before it is written`, async (t) => {
    const backend = await startBackend(t, () => OK);
    const gateway = await gatewayFromConfig({
      http: `
        server {
            listen 127.0.0.1:8080;
            location / { proxy_pass http://${backend.address}; ${location} }
        }`,
    });
    t.after(() => gateway.stop());
    const folder = join(gateway.prefix, 'client_body_temp');
    const busy = busyThreads();
    const client = await RawClient.to(t, gateway.port());
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5000)}`);
    // An end, for it comes behind the body; a reset may take the place of it.
    client.socket.end();
    await gateway.untilAllClosed();
    await busy;
    const other = await RawClient.to(t, gateway.port());
    other.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n${'y'.repeat(5000)}`);
    assert.equal((await other.answer()).status, 200);
    await until('nothing is open', () => openIn(folder).length === 0);
    await until('nothing is there', () => readdirSync(folder).length === 0);
    assert.equal(backend.requests.length, 1, 'nobody was asked for the client that has gone');
  });
}

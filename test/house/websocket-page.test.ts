// docs/websocket.md: its configurations can be copied, and its tables leave nothing out.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DiskFiles } from '../../src/config/files.ts';
import { LogFiles } from '../../src/diagnostics/log-files.ts';
import { tunnelVariables } from '../../src/directives/tunnel-variables.ts';
import { loadSnapshot } from '../../src/load-snapshot.ts';
import { TUNNEL_CAUSES } from '../../src/websocket/tunnel-complaint.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { selfSignedCertificate } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/websocket.md'), 'utf8');

const configurations = [...page.matchAll(/^## (.+)\n|```nginx\n([\s\S]*?)```/gm)].reduce<[string, string][]>(
  (found, [, title, configuration]) => {
    if (title !== undefined) found.push([title, '']);
    else found.push([found.at(-1)?.[0] ?? '', configuration as string]);
    return found;
  },
  [],
);

/** What a fragment needs around it, and beside it. */
function whole(configuration: string): string {
  const upstream = /^\s*upstream app\b/m.test(configuration) ? '' : 'upstream app { server 10.0.0.1:8080; }\n';
  const certificate = 'ssl_certificate certificate.pem;\nssl_certificate_key key.pem;\n';
  if (/^http \{/m.test(configuration)) return `events {}\n${configuration.replace(/^http \{/m, `http {\n${upstream}`)}`;
  const http = configuration.startsWith('location') ? `server {\n${configuration}}\n` : configuration;
  return `events {}\nhttp {\n${certificate}${upstream}${http}}\n`;
}

for (const [title, configuration] of configurations.filter(([, text]) => text !== '')) {
  test(`the configuration of "${title}" can be copied: ${configuration.split('\n')[0]}`, async (t) => {
    const { cert, key } = await selfSignedCertificate();
    const files = { 'nginx.conf': whole(configuration), 'certificate.pem': cert, 'key.pem': key, 'logs/': '' };
    const prefix = temporaryFolder(t, files);
    const { snapshot, problems } = await loadSnapshot({
      configFile: join(prefix, 'nginx.conf'),
      prefix: `${prefix}/`,
      globals: '',
      errorLogPath: join(prefix, 'logs/error.log'),
      files: new DiskFiles(),
      logFiles: new LogFiles(),
      zones: ZoneDirectory.create(),
      worker: 0,
      secrets: { ticketKeys: Buffer.alloc(48, 1), stickyKey: Buffer.alloc(32, 2) },
    });
    assert.deepEqual(problems.headlines, []);
    assert.ok(snapshot !== undefined);
  });
}

test('every cause of an end stands in its table', () => {
  const named = new Set(
    [...page.matchAll(/^\|([^|]+)\| [^|]+\| [^|]+\| [^|]*\|$/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    ),
  );
  assert.deepEqual(
    TUNNEL_CAUSES.filter((cause) => !named.has(cause)),
    [],
  );
});

test('every variable of tunnels stands in its table', () => {
  const names = Object.keys(tunnelVariables);
  assert.ok(names.length >= 12);
  assert.deepEqual(
    names.filter((name) => !page.includes(`| \`$${name}\``) && !page.includes(`, \`$${name}\` |`)),
    [],
  );
});

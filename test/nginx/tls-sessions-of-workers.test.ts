// TLS sessions, whichever worker made them, and over a reload.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateAuthority, selfSignedCertificate, signedCertificate } from '../support/certificates.ts';
import { freePorts } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { askOverTls } from '../support/tls-client.ts';

test('are resumed by every worker, also after a reload, from the cache, by tickets, and for verified clients', async (t) => {
  const { cert, key } = await selfSignedCertificate();
  const authority = await certificateAuthority();
  const client = await signedCertificate({ names: ['client'] });
  const [cached, byKeys, byTickets, verified] = (await freePorts(4)) as [number, number, number, number];
  const server = (port: number, lines: string): string =>
    `server { listen 127.0.0.1:${port} ssl; ${lines} return 200 "$ssl_session_reused $ssl_client_s_dn $ssl_protocol"; }`;
  const conf = `
    worker_processes 3;
    events {}
    http {
      access_log off;
      ssl_certificate a.crt;
      ssl_certificate_key a.key;
      ${server(cached, 'ssl_session_cache shared:S:1m; ssl_session_tickets off;')}
      ${server(byKeys, 'ssl_session_cache shared:S:1m;')}
      ${server(byTickets, '')}
      ${server(verified, 'ssl_verify_client on; ssl_client_certificate ca.crt;')}
    }`;
  const files = { 'a.crt': cert, 'a.key': key, 'ca.crt': authority.cert };
  const sockgate = await startSockgate(t, { conf, files });
  const sessions: { port: number; maxVersion: 'TLSv1.2' | 'TLSv1.3'; session: Buffer }[] = [];
  for (const port of [cached, byKeys, byTickets, verified]) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await askOverTls(port, { maxVersion, ...(port === verified ? client : {}) });
      assert.ok(session);
      sessions.push({ port, maxVersion, session });
    }
  }
  const resumed = async (): Promise<void> => {
    for (const { port, maxVersion, session } of sessions) {
      const answers = Array.from({ length: 8 }, () => askOverTls(port, { maxVersion, session }));
      const texts = new Set((await Promise.all(answers)).map(({ text }) => text));
      const name = port === verified ? 'CN=client' : '';
      assert.deepEqual([...texts], [`r ${name} ${maxVersion}`], `port ${port}`);
    }
  };
  await resumed();
  await sockgate.reload(conf, 3);
  await resumed();
  assert.equal(sockgate.count(/\[(?:alert|crit|emerg)\]/g), 0);
});

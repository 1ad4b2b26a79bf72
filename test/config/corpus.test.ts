// Small configurations, each about one thing: what is accepted, what is refused, and in which words. Debian's nginx is the oracle.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DiskFiles } from '../../src/config/files.ts';
import { LogFiles } from '../../src/diagnostics/log-files.ts';
import { loadSnapshot } from '../../src/load-snapshot.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { selfSignedCertificate } from '../support/certificates.ts';

const CORPUS = join(import.meta.dirname, '../configs');
const NGINX = '/usr/sbin/nginx';
const withoutNginx = existsSync(NGINX) ? false : `${NGINX} is not installed`;

/** A configuration is copied into a folder of its own, with the certificates that some of them name. */
let folder = '';

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'corpus-'));
  cpSync(CORPUS, folder, { recursive: true });
  for (const part of ['good', 'bad']) {
    for (const name of namesOf(part))
      cpSync(join(CORPUS, part, `${name}.conf`), join(folder, `${basename(name)}.conf`));
  }
  mkdirSync(join(folder, 'files/tls'));
  const wishes = { localhost: {}, rsa: { kind: 'rsa' }, other: { serial: 2 } } as const;
  for (const [name, wish] of Object.entries(wishes)) {
    const { cert, key } = await selfSignedCertificate(wish);
    writeFileSync(join(folder, `files/tls/${name}.crt`), cert);
    writeFileSync(join(folder, `files/tls/${name}.key`), key);
  }
});

after(() => rmSync(folder, { recursive: true }));

function namesOf(part: string): string[] {
  const files = readdirSync(join(CORPUS, part), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.conf')).map((file) => file.slice(0, -'.conf'.length));
}

/** What we say, a line for each problem, without the folder. */
async function ourLines(name: string): Promise<string[]> {
  const logFiles = new LogFiles();
  const { problems } = await loadSnapshot({
    configFile: join(folder, `${basename(name)}.conf`),
    prefix: `${folder}/`,
    globals: '',
    errorLogPath: 'stderr',
    files: new DiskFiles(),
    logFiles,
    zones: ZoneDirectory.create(),
    worker: -1,
    secrets: { ticketKeys: Buffer.alloc(48), stickyKey: Buffer.alloc(32) },
  });
  return problems.headlines.map((line) => line.replaceAll(`${folder}/`, ''));
}

/** What the file beside a configuration says that we say; nothing where there is none. */
function goldenLines(part: string, name: string): string[] {
  const file = join(CORPUS, part, `${name}.txt`);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

interface Verdict {
  readonly accepts: boolean;
  readonly lines: readonly string[];
  readonly whole: string;
}

function nginxVerdict(name: string): Verdict {
  const globals = `pid ${folder}/nginx.pid;`;
  const file = join(folder, `${basename(name)}.conf`);
  const args = ['-t', '-p', `${folder}/`, '-e', 'stderr', '-g', globals, '-c', file];
  const { status, stderr } = spawnSync(NGINX, args, { encoding: 'utf8', timeout: 30_000 });
  const lines = stderr.split('\n').flatMap((line) => /\[(?:emerg|crit|warn)\] .*/.exec(line)?.[0] ?? []);
  return { accepts: status === 0 || lacksItsLog(stderr), lines: lines.map(withoutItsOwn), whole: stderr };
}

/** All of it is right, but whoever is not root may not write into the log that Debian's nginx has when it is told of none. */
function lacksItsLog(stderr: string): boolean {
  const mistakes = stderr.split('\n').filter((line) => line.includes('[emerg]'));
  return (
    / syntax is ok$/m.test(stderr) &&
    mistakes.every((line) => /open\(\) "\/var\/log\/nginx\/access\.log" failed \(13: /.test(line))
  );
}

/** Without the process number and the folder. */
const withoutItsOwn = (line: string): string => line.replace(/\] \d+#\d+: /, '] ').replaceAll(`${folder}/`, '');

const refusing = (lines: readonly string[]): string[] => lines.filter((line) => /^\[(?:emerg|crit)\]/.test(line));

const isBeyondNginx = (name: string): boolean => dirname(name) === 'beyond-nginx';

/** nginx finds these at the end of a block, we where they stand. */
const PLACED_BETTER = new Set([
  'header-buffers',
  'proxy-busy-buffers',
  'proxy-large-buffer',
  'proxy-one-buffer',
  'cache-unknown-zone',
  'ssl-ticket-key',
]);

/** OpenSSL's own words differ by its version; nginx's for `ssl_verify_client` are those of 1.27. */
const IN_OTHER_WORDS = new Set([
  'proxy-ssl-conf-command',
  'ssl-client-certificate',
  'ssl-conf-command',
  'ssl-crl',
  'ssl-dhparam',
  'ssl-key-mismatch',
  'ssl-missing-file',
  'ssl-verify-without-authority',
]);

const withoutPlace = (line: string): string => line.replace(/ in [^ ]+:\d+$/, '');

/** nginx has no place for some of its mistakes; we have. */
function sameMistake(name: string, ours: string | undefined, theirs: string | undefined): boolean {
  if (ours === undefined || theirs === undefined) return false;
  if (IN_OTHER_WORDS.has(name) || ours === theirs) return true;
  return withoutPlace(ours) === withoutPlace(theirs) && (PLACED_BETTER.has(name) || theirs === withoutPlace(theirs));
}

test('the corpus is large enough to mean something', () => {
  assert.ok(namesOf('good').length >= 50 && namesOf('bad').length >= 100);
  for (const name of namesOf('bad'))
    assert.ok(refusing(goldenLines('bad', name)).length > 0, `${name}.txt says nothing`);
});

describe('a configuration that is right', () => {
  for (const name of namesOf('good')) {
    test(name, async () => assert.deepEqual(await ourLines(name), goldenLines('good', name)));
  }
});

describe('a configuration that is wrong is refused in these words', () => {
  for (const name of namesOf('bad')) {
    test(name, async () => assert.deepEqual(await ourLines(name), goldenLines('bad', name)));
  }
});

describe('nginx agrees', { skip: withoutNginx }, () => {
  for (const name of namesOf('good').filter((one) => !isBeyondNginx(one))) {
    test(`with what is accepted: ${name}`, (t) => {
      const { accepts, whole, lines } = nginxVerdict(name);
      if (/bind\(\) to \[::1\]/.test(whole)) return t.skip('there is no IPv6 here');
      assert.ok(accepts, whole);
      for (const line of lines.filter((one) => !one.startsWith('[emerg]')))
        assert.ok(goldenLines('good', name).includes(line), line);
    });
  }

  for (const name of namesOf('bad').filter((one) => !isBeyondNginx(one))) {
    test(`with what is refused: ${name}`, () => {
      const { accepts, lines } = nginxVerdict(name);
      const [ours] = refusing(goldenLines('bad', name));
      const [theirs] = refusing(lines);
      assert.equal(accepts, false);
      assert.ok(sameMistake(name, ours, theirs), `nginx: ${theirs}\nours:  ${ours}`);
    });
  }
});

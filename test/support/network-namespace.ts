// Tests that run in a network of their own, where packets can be lost without anybody else noticing.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';

const IPTABLES = '/usr/sbin/iptables';
/** Which test of a file is to be run: set where the network is one of its own. */
const VARIABLE = 'SOCKGATE_TEST_IN_NAMESPACE';
/** ms until a test that does not end is killed. */
const LONGEST = 90_000;

/** Makes a network that has nothing but 127.0.0.1, and runs a command in it. */
const ENTER = ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];

function whyNot(): string | false {
  if (process.platform !== 'linux') return 'only Linux has network namespaces';
  if (process.geteuid?.() !== 0) return 'only root may make a network namespace';
  for (const program of ['/usr/bin/unshare', '/usr/sbin/ip', IPTABLES]) {
    if (!existsSync(program)) return `${program} is not installed`;
  }
  const { status } = spawnSync('unshare', [...ENTER, IPTABLES, ...losing(0.5)], { timeout: 10_000, env: withSbin() });
  return status === 0 ? false : 'not even root may drop packets here';
}

/**
 * A test whose function is run by another process, in a network namespace of its own.
 * @param file that calls this: `import.meta.filename`
 */
export function testInNamespace(name: string, file: string, run: (t: TestContext) => Promise<void>): void {
  const wanted = process.env[VARIABLE];
  if (wanted === undefined) void test(name, { skip: skip() }, () => runThere(name, file));
  else if (wanted === name) void test(name, run);
}

let reason: string | false | undefined;

function skip(): string | false {
  reason ??= whyNot();
  return reason;
}

async function runThere(name: string, file: string): Promise<void> {
  // It would speak to a runner that is not there.
  const { NODE_TEST_CONTEXT: _, ...env } = withSbin();
  const args = [...ENTER, process.execPath, '--test-reporter=spec', file];
  const child = spawn('unshare', args, {
    env: { ...env, [VARIABLE]: name },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LONGEST,
    killSignal: 'SIGKILL',
  });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>]);
  if (code !== 0 || !said.includes('pass 1')) throw new Error(`in the namespace, ended with ${code}:\n${said}`);
}

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/** From now on nothing passes to or from a port: no packet, no RST, as where a cable was pulled. */
export function pullCable(port: number): void {
  for (const end of ['--dport', '--sport']) iptables('-A', 'INPUT', '-p', 'tcp', end, `${port}`, '-j', 'DROP');
}

/** Everything passes again. */
export function mendNetwork(): void {
  iptables('-F', 'INPUT');
}

/** From now on each packet is lost with this probability, 0 to 1. */
export function losePackets(probability: number): void {
  iptables(...losing(probability).slice(1));
}

function losing(probability: number): string[] {
  const which = ['-m', 'statistic', '--mode', 'random', '--probability', `${probability}`];
  return ['-w', '-A', 'INPUT', '-p', 'tcp', ...which, '-j', 'DROP'];
}

function iptables(...args: string[]): void {
  if (process.env[VARIABLE] === undefined) throw new Error('this is not a network of the test’s own');
  const { status, stderr } = spawnSync(IPTABLES, ['-w', ...args], { timeout: 10_000, encoding: 'latin1' });
  if (status !== 0) throw new Error(`iptables ended with ${status}: ${stderr}`);
}

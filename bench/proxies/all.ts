// Every proxy that is measured, the one that is 1 first.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, firstLineOf } from '../children.ts';
import { haproxyCfg } from './haproxy-cfg.ts';
import { nginxConf } from './nginx-conf.ts';
import type { ProxyProgram, Setup } from './proxy-program.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const sockgateCommand = here('../../bin/sockgate');

function writeNginxConf(setup: Setup): string {
  const file = join(setup.folder, 'nginx.conf');
  writeFileSync(file, nginxConf(setup));
  return file;
}

const nginx: ProxyProgram = {
  name: 'nginx',
  find() {
    const program = findProgram('nginx');
    if (program === undefined) return { missing: 'no nginx on this machine: there will be figures, but no ratios' };
    const line = firstLineOf(program, '-v');
    return line === undefined ? { missing: `${program} -v fails` } : { version: line.replace(/^nginx version: /, '') };
  },
  command(setup) {
    return [findProgram('nginx') ?? 'nginx', '-p', `${setup.folder}/`, '-e', 'error.log', '-c', writeNginxConf(setup)];
  },
};

const sockgate: ProxyProgram = {
  name: 'sockgate',
  find() {
    if (!existsSync(sockgateCommand)) return { missing: 'no bin/sockgate' };
    const line = firstLineOf(sockgateCommand, '-v');
    return line === undefined
      ? { missing: 'bin/sockgate -v fails: npm run build' }
      : { version: line.replace(/^.*version: /, '') };
  },
  command(setup) {
    return [sockgateCommand, '-p', `${setup.folder}/`, '-c', writeNginxConf(setup)];
  },
};

const haproxy: ProxyProgram = {
  name: 'haproxy',
  find() {
    const program = findProgram('haproxy');
    if (program === undefined) return { missing: 'no haproxy on this machine' };
    const version = /version (\S+)/.exec(firstLineOf(program, '-v') ?? '')?.[1];
    return version === undefined ? { missing: `${program} -v fails` } : { version: `HAProxy/${version}` };
  },
  command(setup) {
    const file = join(setup.folder, 'haproxy.cfg');
    writeFileSync(file, haproxyCfg(setup));
    return [findProgram('haproxy') ?? 'haproxy', '-db', '-q', '-f', file];
  },
};

const httpProxy3: ProxyProgram = {
  name: 'http-proxy-3',
  find() {
    const manifest = here('../../node_modules/http-proxy-3/package.json');
    if (!existsSync(manifest)) return { missing: 'no http-proxy-3 among the devDependencies: npm ci' };
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    return { version: `http-proxy-3/${version} on Node ${process.versions.node}` };
  },
  command({ port, tlsPort, peerPort, certificate }) {
    const words = [port, tlsPort, peerPort].map(String);
    return [process.execPath, here('http-proxy-3.ts'), ...words, certificate.certificate, certificate.key];
  },
};

export const proxies: readonly ProxyProgram[] = [nginx, sockgate, haproxy, httpProxy3];

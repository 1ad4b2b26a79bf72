// What another process costs, as Linux tells it.

import { readdirSync, readFileSync } from 'node:fs';

/** Bytes of memory that it has now. */
export function residentBytes(pid: number): number {
  const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** Descriptors that it has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Bytes by which a gateway's memory may grow whatever it does: streams leave each chunk that they read to the garbage collector, which takes its time. */
export const UNCOLLECTED = process.env['SOCKGATE_CHANNEL'] === 'stream' ? 128 * 1024 * 1024 : 0;

// How all files are read while a configuration is: from the disk, or from the bundle that another thread read.

import { lookup } from 'node:dns/promises';
import { existsSync, readFileSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { expandGlob } from './glob.ts';

/** Thrown by `read`: nginx's words, such as `open() "/x" failed (2: No such file or directory)`. */
export class FileError extends Error {
  override readonly name = 'FileError';
  /** The system's name for it: `ENOENT`. */
  readonly code: string;
  readonly path: string;

  constructor(path: string, code: string) {
    // nginx opens a directory without complaint and fails when it reads it.
    const call = code === 'EISDIR' ? 'pread' : 'open';
    super(`${call}() "${path}" failed (${systemErrorText(code)})`);
    this.code = code;
    this.path = path;
  }
}

/** What reads files for a configuration: its own text, certificates, keys, password files. Paths are absolute. */
export interface Files {
  /** The whole file. Throws FileError. */
  read(path: string): Buffer;
  /** The paths that a pattern of glob(7) stands for, in byte order as nginx includes them; none where nothing fits. */
  glob(pattern: string): readonly string[];
  exists(path: string): boolean;
  /** The addresses of a host name, none where it has none; undefined: not known yet, `lookUpAsked` will find out. */
  lookUp(host: string): readonly string[] | undefined;
  /** Looks up the names that were asked for and not known. @returns whether there were any, so that asking again is worth while */
  lookUpAsked(): Promise<boolean>;
}

/** All that was read, as plain data: structured clone takes it to a worker. It may hold private keys: never log it. */
export interface FileBundle {
  readonly reads: ReadonlyMap<string, Uint8Array | string>;
  readonly globs: ReadonlyMap<string, readonly string[]>;
  readonly existing: ReadonlyMap<string, boolean>;
  readonly names: ReadonlyMap<string, readonly string[]>;
}

/** Reads the disk, each thing once, and remembers what it saw: all who ask see one state of the disk. */
export class DiskFiles implements Files {
  readonly #reads = new Map<string, Uint8Array | string>();
  readonly #globs = new Map<string, readonly string[]>();
  readonly #existing = new Map<string, boolean>();
  readonly #names = new Map<string, readonly string[]>();
  readonly #asked = new Set<string>();

  read(path: string): Buffer {
    return contents(path, remembered(this.#reads, path, readOrCode));
  }

  glob(pattern: string): readonly string[] {
    return remembered(this.#globs, pattern, expandGlob);
  }

  exists(path: string): boolean {
    return remembered(this.#existing, path, existsSync);
  }

  /** What was asked and answered so far, for a BundleFiles in another thread. */
  bundle(): FileBundle {
    return {
      reads: new Map(this.#reads),
      globs: new Map(this.#globs),
      existing: new Map(this.#existing),
      names: new Map(this.#names),
    };
  }

  lookUp(host: string): readonly string[] | undefined {
    const known = this.#names.get(host);
    if (known === undefined) this.#asked.add(host);
    return known;
  }

  async lookUpAsked(): Promise<boolean> {
    const hosts = [...this.#asked];
    this.#asked.clear();
    await Promise.all(hosts.map(async (host) => this.#names.set(host, await addressesOf(host))));
    return hosts.length > 0;
  }
}

/** Answers from a bundle, and never touches the disk: what was not asked before is not there. */
export class BundleFiles implements Files {
  readonly #bundle: FileBundle;

  constructor(bundle: FileBundle) {
    this.#bundle = bundle;
  }

  read(path: string): Buffer {
    return contents(path, this.#bundle.reads.get(path) ?? 'ENOENT');
  }

  glob(pattern: string): readonly string[] {
    return this.#bundle.globs.get(pattern) ?? [];
  }

  exists(path: string): boolean {
    return this.#bundle.existing.get(path) ?? this.#bundle.reads.get(path) instanceof Uint8Array;
  }

  lookUp(host: string): readonly string[] {
    return this.#bundle.names.get(host) ?? [];
  }

  async lookUpAsked(): Promise<boolean> {
    return false;
  }
}

/** By the system's own ways (hosts file, DNS), IPv4 first as nginx lists them. */
async function addressesOf(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);
  } catch {
    return [];
  }
}

function remembered<T>(memory: Map<string, T>, key: string, ask: (key: string) => T): T {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const answer = ask(key);
  memory.set(key, answer);
  return answer;
}

/** The bytes, or the code of what went wrong. */
function readOrCode(path: string): Uint8Array | string {
  try {
    return readFileSync(path);
  } catch (error) {
    return systemErrorCode(error);
  }
}

function contents(path: string, found: Uint8Array | string): Buffer {
  if (typeof found === 'string') throw new FileError(path, found);
  return Buffer.from(found.buffer, found.byteOffset, found.byteLength);
}

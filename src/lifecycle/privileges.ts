// Whose rights the process has: root's while it must bind, open logs or read keys, and the user's otherwise.

import { spawnSync } from 'node:child_process';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';

export interface UserSetting {
  readonly name: string;
  readonly group: string | undefined;
  /** Where the configuration says so, for the message: ` in /etc/nginx.conf:1`. */
  readonly place?: string;
}

/** nginx's words: `getpwnam("nobdy") failed`; `seteuid("nobody") failed (1: Operation not permitted)`. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** nginx's default user, where there is no `user`. */
const DEFAULT_USER: UserSetting = { name: 'nobody', group: undefined };
const ROOT = 0;

/**
 * Threads of one process cannot have different users for good, as nginx's processes have. So the whole process gives its rights up
 * by its effective user and group, keeps root as its real user, and takes the rights back for a moment where it needs them.
 */
export class Privileges {
  readonly #isRoot = process.geteuid?.() === ROOT;
  #user: UserSetting | undefined = undefined;
  #group: string | number = ROOT;
  #holders = 0;

  /** Whether there is anything to give up. */
  get isRoot(): boolean {
    return this.#isRoot;
  }

  /** Gives the rights up to this user, or changes to another one. Does nothing where we are not root. @throws UserError */
  become(user: UserSetting = DEFAULT_USER): void {
    if (!this.#isRoot) return;
    if (this.#user !== undefined) regain();
    this.#group = findGroup(user);
    this.#user = user;
    if (this.#holders === 0) this.#giveUp();
  }

  /** Throws UserError where this user or group does not exist. Changes nothing. */
  check(user: UserSetting = DEFAULT_USER): void {
    if (!this.#isRoot) return;
    this.asOwner(() => {
      try {
        tryUser(user.name);
        findGroup(user);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        throw new UserError(`${error.message}${user.place ?? ''}`);
      }
    });
  }

  /** The number of this user. Only as the owner. @throws UserError */
  idOf(user: UserSetting = DEFAULT_USER): number {
    const before = process.geteuid?.() ?? ROOT;
    tryUser(user.name);
    try {
      process.seteuid?.(user.name);
      return process.geteuid?.() ?? ROOT;
    } finally {
      process.seteuid?.(before);
    }
  }

  /** Takes the rights back until the function that it returns is called; several may hold them at once. */
  raise(): () => void {
    if (this.#holders++ === 0 && this.#user !== undefined) regain();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holders === 0 && this.#user !== undefined) this.#giveUp();
    };
  }

  /** Runs one step with the rights that the process was started with. */
  asOwner<T>(step: () => T): T {
    const done = this.raise();
    try {
      return step();
    } finally {
      done();
    }
  }

  #giveUp(): void {
    const { name } = this.#user as UserSetting;
    try {
      takeGroupsOf(name, this.#group);
      process.setegid?.(this.#group);
      process.seteuid?.(name);
    } catch (error) {
      throw new UserError(`seteuid("${name}") failed (${systemErrorText(systemErrorCode(error))})`);
    }
  }
}

/** The type declarations of Node do not know it. */
const { initgroups } = process as { readonly initgroups?: (user: string, group: string | number) => void };

/** The other groups that the user is a member of. They stay when the rights are taken back: root needs none. */
function takeGroupsOf(user: string, group: string | number): void {
  initgroups?.(user, group);
}

function regain(): void {
  process.seteuid?.(ROOT);
  process.setegid?.(ROOT);
}

/** The named group; else that of the user's name, as in nginx; else the user's own. */
function findGroup({ name, group }: UserSetting): string | number {
  if (groupExists(group ?? name)) return group ?? name;
  const own = group === undefined ? primaryGroup(name) : undefined;
  if (own === undefined) throw new UserError(`getgrnam("${group ?? name}") failed`);
  return own;
}

function groupExists(group: string): boolean {
  const before = process.getegid?.() ?? ROOT;
  try {
    process.setegid?.(group);
    return true;
  } catch {
    return false;
  } finally {
    process.setegid?.(before);
  }
}

function tryUser(name: string): void {
  const before = process.geteuid?.() ?? ROOT;
  try {
    process.seteuid?.(name);
  } catch {
    throw new UserError(`getpwnam("${name}") failed`);
  } finally {
    process.seteuid?.(before);
  }
}

function primaryGroup(name: string): number | undefined {
  const { status, stdout } = spawnSync('id', ['-g', '--', name], { encoding: 'latin1', timeout: 5_000 });
  return status === 0 ? Number(stdout) : undefined;
}

// Dials TCP with a handle alone: a socket of Node would be built only to be taken apart when the connection stands.

import { isIP } from 'node:net';
import { connectionError } from './connection-error.ts';
import type { Dialler } from './dialler.ts';
import { HandleChannel } from './handle-channel.ts';
import { type ConnectRequest, type DiallingHandle, newDial } from './node-handles.ts';
import { reportOwnerFault } from './owner-fault.ts';

const nothing = (): void => {};

/** A plain TCP connection being made. */
export class HandleDial {
  /** It is plain TCP. */
  readonly isShakingHands = false;
  readonly #address: string;
  readonly #port: number;
  readonly #handle: DiallingHandle;
  #dialler: Dialler | undefined;

  private constructor(handle: DiallingHandle, address: string, port: number, dialler: Dialler) {
    this.#handle = handle;
    this.#address = address;
    this.#port = port;
    this.#dialler = dialler;
  }

  /** @returns undefined where this runtime, or the address, is not fit for it: dial in the usual way */
  static begin(address: string, port: number, dialler: Dialler): HandleDial | undefined {
    const family = isIP(address);
    const isFit = family !== 0 && !address.includes('%') && port > 0 && port < 65536;
    const made = isFit ? newDial<HandleDial>() : undefined;
    if (made === undefined) return undefined;
    const { handle, request } = made;
    const dial = new HandleDial(handle, address, port, dialler);
    request.user = dial;
    request.oncomplete = onComplete;
    const plain = request as unknown as ConnectRequest<never>;
    const error = family === 6 ? handle.connect6(plain, address, port) : handle.connect(plain, address, port);
    if (error !== 0) process.nextTick(onComplete.bind(request), error);
    return dial;
  }

  /** Gives up: nobody is told. Does nothing once it was told how it went. */
  cancel(): void {
    if (this.#dialler === undefined) return;
    this.#dialler = undefined;
    this.#handle.close(nothing);
  }

  completed(status: number): void {
    const dialler = this.#dialler;
    if (dialler === undefined) return;
    this.#dialler = undefined;
    if (status === 0) this.#connected(dialler);
    else this.#failed(dialler, status);
  }

  #connected(dialler: Dialler): void {
    this.#handle.setNoDelay?.(true);
    const channel = new HandleChannel({
      handle: this.#handle,
      tls: undefined,
      server: undefined,
      unread: undefined,
      peer: { address: this.#address, port: this.#port },
    });
    try {
      dialler.dialConnected(channel, false);
    } catch (fault) {
      channel.destroy(reportOwnerFault(fault));
    }
  }

  #failed(dialler: Dialler, status: number): void {
    this.#handle.close(nothing);
    const error = Object.assign(connectionError(status, 'connect'), { address: this.#address, port: this.#port });
    try {
      dialler.dialFailed(error);
    } catch (fault) {
      reportOwnerFault(fault);
    }
  }
}

function onComplete(this: ConnectRequest<HandleDial>, status: number): void {
  const dial = this.user;
  this.user = undefined;
  dial?.completed(status);
}

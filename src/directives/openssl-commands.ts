// proxy_ssl_conf_command and its like: OpenSSL's configuration commands, as far as Node can follow them.
// https://docs.openssl.org/master/man3/SSL_CONF_cmd/

import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import type { WrittenFile } from './written-file.ts';

/** One command as it was written. */
export interface OpensslCommand {
  readonly name: string;
  readonly value: string;
  readonly at: Position;
}

/** What several commands come to; the last one of a name counts. */
export interface OpensslEffects {
  readonly context: Pick<SecureContextOptions, 'ciphers' | 'ecdhCurve' | 'sigalgs' | 'secureOptions'>;
  /** Bits of `secureOptions` that commands take away again: `Options SessionTicket`, `Options -ServerPreference`. */
  readonly cleared: number;
  /** From old to new, where any command speaks of them. */
  readonly protocols: readonly string[] | undefined;
  readonly certificate: WrittenFile | undefined;
  readonly key: WrittenFile | undefined;
}

const PROTOCOLS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** Options that a command switches on by their bit. */
const ON: Readonly<Record<string, number>> = {
  bugs: constants.SSL_OP_ALL,
  serverpreference: constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  noresumptiononrenegotiation: constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
  unsafelegacyserverconnect: constants.SSL_OP_LEGACY_SERVER_CONNECT,
  unsafelegacyrenegotiation: constants.SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION,
  norenegotiation: constants.SSL_OP_NO_RENEGOTIATION,
  allownodhekex: constants.SSL_OP_ALLOW_NO_DHE_KEX,
  prioritizechacha: constants.SSL_OP_PRIORITIZE_CHACHA,
};
/** Those that it switches off by a bit. */
const OFF: Readonly<Record<string, number>> = {
  sessionticket: constants.SSL_OP_NO_TICKET,
  compression: constants.SSL_OP_NO_COMPRESSION,
  encryptthenmac: constants.SSL_OP_NO_ENCRYPT_THEN_MAC,
  emptyfragments: constants.SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS,
};
/** Commands and options that OpenSSL has, and Node leaves no way to set. */
const KNOWN: ReadonlySet<string> = new Set([
  'dhparameters',
  'recordpadding',
  'numtickets',
  'chaincafile',
  'chaincapath',
  'verifycafile',
  'verifycapath',
  'requestcafile',
  'clientcafile',
  'requestcapath',
  'clientcapath',
  'verifymode',
  'serverinfofile',
]);
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(['antireplay', 'extendedmastersecret', 'middleboxcompat', 'ktls']);

/**
 * @param protocols those in force without the commands
 * @param warn is told of what is understood and has no effect
 * @throws ConfigError for what OpenSSL does not know either
 */
export function opensslEffects(
  directive: string,
  commands: readonly OpensslCommand[],
  protocols: readonly string[],
  warn: (message: string, at: Position) => void,
): OpensslEffects {
  const reader = new CommandReader(directive, protocols, warn);
  for (const command of commands) reader.read(command);
  return reader.effects();
}

class CommandReader {
  readonly #directive: string;
  readonly #warn: (message: string, at: Position) => void;
  readonly #before: readonly string[];
  #protocols: readonly string[];
  #cipherString: string | undefined = undefined;
  #cipherSuites: string | undefined = undefined;
  #groups: string | undefined = undefined;
  #signatures: string | undefined = undefined;
  #options = 0;
  #cleared = 0;
  #certificate: WrittenFile | undefined = undefined;
  #key: WrittenFile | undefined = undefined;

  constructor(directive: string, protocols: readonly string[], warn: (message: string, at: Position) => void) {
    this.#directive = directive;
    this.#warn = warn;
    this.#before = protocols;
    this.#protocols = protocols;
  }

  effects(): OpensslEffects {
    const ciphers = [this.#cipherSuites, this.#cipherString].filter((one) => one !== undefined).join(':');
    return {
      context: {
        ...(ciphers === '' ? {} : { ciphers }),
        ...(this.#groups === undefined ? {} : { ecdhCurve: this.#groups }),
        ...(this.#signatures === undefined ? {} : { sigalgs: this.#signatures }),
        ...(this.#options === 0 ? {} : { secureOptions: this.#options }),
      },
      cleared: this.#cleared,
      protocols: this.#protocols === this.#before ? undefined : this.#protocols,
      certificate: this.#certificate,
      key: this.#key,
    };
  }

  read(command: OpensslCommand): void {
    const { value, at } = command;
    const file = { file: value, at };
    switch (command.name.toLowerCase()) {
      case 'cipherstring':
        this.#cipherString = value;
        return;
      case 'ciphersuites':
        this.#cipherSuites = value;
        return;
      case 'groups':
      case 'curves':
        this.#groups = value;
        return;
      case 'signaturealgorithms':
      case 'clientsignaturealgorithms':
        this.#signatures = value;
        return;
      case 'certificate':
        this.#certificate = file;
        return;
      case 'privatekey':
        this.#key = file;
        return;
      case 'minprotocol':
        this.#limit(command, (index, limit) => index >= limit);
        return;
      case 'maxprotocol':
        this.#limit(command, (index, limit) => index <= limit);
        return;
      case 'protocol':
        this.#switchProtocols(command);
        return;
      case 'options':
        this.#switchOptions(command);
        return;
      default:
        this.#other(command);
    }
  }

  #limit(command: OpensslCommand, fits: (index: number, limit: number) => boolean): void {
    if (command.value.toLowerCase() === 'none') return;
    const limit = PROTOCOLS.findIndex((one) => one.toLowerCase() === command.value.toLowerCase());
    if (limit < 0) this.#refuse(command);
    this.#protocols = PROTOCOLS.filter(
      (one, index) => fits(index, limit) && (index === limit || this.#protocols.includes(one)),
    );
  }

  #switchProtocols(command: OpensslCommand): void {
    const wanted = new Set<string>(this.#protocols);
    for (const { on, word } of switches(command.value)) {
      const meant = word === 'all' ? PROTOCOLS : PROTOCOLS.filter((one) => one.toLowerCase() === word);
      if (meant.length === 0 && !/^sslv[23]$/.test(word)) this.#refuse(command);
      for (const one of meant)
        if (on) wanted.add(one);
        else wanted.delete(one);
    }
    this.#protocols = PROTOCOLS.filter((one) => wanted.has(one));
  }

  #switchOptions(command: OpensslCommand): void {
    for (const { on, word } of switches(command.value)) {
      const bit = (on ? ON : OFF)[word];
      const opposite = (on ? OFF : ON)[word];
      const isKnown = word in ON || word in OFF || KNOWN_OPTIONS.has(word);
      if (!isKnown) this.#refuse(command);
      if (bit !== undefined) this.#set(bit);
      else if (opposite !== undefined) this.#clear(opposite);
      else this.#noEffect(command);
    }
  }

  #set(bit: number): void {
    this.#options |= bit;
    this.#cleared &= ~bit;
  }

  #clear(bit: number): void {
    this.#options &= ~bit;
    this.#cleared |= bit;
  }

  #other(command: OpensslCommand): void {
    if (!KNOWN.has(command.name.toLowerCase())) this.#refuse(command);
    this.#noEffect(command);
  }

  #noEffect({ name, value, at }: OpensslCommand): void {
    this.#warn(`"${this.#directive} ${name} ${value}" has no effect: Node has no way to set it`, at);
  }

  #refuse({ name, value, at }: OpensslCommand): never {
    throw new ConfigError(`SSL_CONF_cmd("${name}", "${value}") failed`, at);
  }
}

/** `-ALL,+TLSv1.2`: each with its sign, in lower case. */
function switches(value: string): { on: boolean; word: string }[] {
  return value
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '')
    .map((one) => ({ on: !one.startsWith('-'), word: one.replace(/^[+-]/, '') }));
}

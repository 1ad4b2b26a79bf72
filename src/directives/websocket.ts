// websocket: what the gateway does for WebSockets beyond passing their bytes. This module is our own; nginx has none like it.

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import { argument, flag, integer, oneOf, parameters, rest, size, time } from '../config/values.ts';
import type { ConnectWait, WebSocketResume, WebSocketSettings } from '../exchange/websocket-settings.ts';
import { isToken } from '../http1/headers.ts';
import type { Level, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { tunnelVariables } from './tunnel-variables.ts';
import { originKind, originTest } from './websocket-origins.ts';
import { rateKind } from './websocket-rate.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

const UNSENT_CODES: ReadonlySet<number> = new Set([1004, 1005, 1006, 1010]);

/** Codes that may stand in a close frame (RFC 6455 section 7.4, and IANA's registry), but for 1010, which only clients send. */
const closeCode = argument('code', 'code', (given) => {
  const code = /^\d{4}$/.test(given) ? Number(given) : 0;
  const mayBeSent = (code >= 1000 && code <= 1014 && !UNSENT_CODES.has(code)) || (code >= 3000 && code <= 4999);
  if (!mayBeSent) throw new ConfigError(`invalid close code "${given}"`);
  return code;
});

const subprotocolKind = argument('name', 'name | any', (text) => {
  if (!isToken(text)) throw new ConfigError(`invalid subprotocol "${text}"`);
  return text;
});

/** `200/s`. */
const perSecond = argument('rate', 'number/s', (given, _, directive) => {
  const [, digits = '0'] = /^(\d{1,9})\/s$/.exec(given) ?? [];
  if (Number(digits) > 0) return Number(digits);
  throw new ConfigError(`invalid rate "${given}" in "${directive}" directive`, undefined, {
    mend: 'it is like "200/s"',
  });
});

const ageTime = time('time');

/** ms; 0 for `off`. */
const ageKind = argument('time', 'time | off', (text, given, directive) =>
  text === 'off' ? 0 : ageTime.parse([given], directive),
);

const table = directives({
  websocket: {
    in: SETTINGS,
    args: [oneOf('mode', 'auto', 'on', 'off')],
    default: 'auto',
    doc: 'Whether a valid opening handshake is passed to the upstream as one: always, whatever `proxy_set_header` and `proxy_http_version` say (`auto`); so, and any other request is refused with 426 (`on`); or only where `proxy_set_header` says so, as in nginx (`off`).',
  },
  websocket_allow_origin: {
    in: SETTINGS,
    args: [rest(originKind)],
    many: true,
    doc: 'From which web pages a handshake may come; any other is refused with 403, and the error log says why. `self`: a page of the host and port that are asked; a name, with the port of its scheme unless another or `:*` stands behind it, by http and https unless a scheme stands before it; `*.name`: all names below; `.name`: both; `~regex`: held against the whole origin, in either case; `null`: pages without an origin of their own. A handshake without `Origin`, which no browser sends, is allowed (`none`), unless `required` stands there. Lines of a level replace those above it. Default: `off`, every origin.',
  },
  websocket_subprotocols: {
    in: SETTINGS,
    args: [rest(subprotocolKind)],
    many: true,
    doc: 'Which of the subprotocols that a client offers the upstream is offered. A client that offers only others is refused with 400, and the error log says so; one that offers none is not. Lines of a level replace those above it. Default: `any`.',
  },
  websocket_extensions: {
    in: SETTINGS,
    args: [oneOf('offer', 'any', 'off', 'permessage-deflate')],
    default: 'any',
    doc: "Which of the extensions that a client offers the upstream is offered: those of the client's own line, untouched; none, so that nothing is compressed; or `permessage-deflate` alone, with its parameters.",
  },
  websocket_ping: {
    in: SETTINGS,
    args: [pingTime('interval')],
    default: 'auto',
    doc: 'How long a side of a tunnel may be silent before the gateway sends it a ping, which only that side sees, and whose pong counts as life; up to a quarter earlier, so that not all tunnels ping at once. A side that stays silent for `proxy_read_timeout` is dead, and both are ended; one that answers is never ended for its silence. `auto` is a third of `proxy_read_timeout`. With an interval that is not below it a side is dead that has not answered for `proxy_read_timeout` after its ping: so it is found later, and there is a warning. `off`: no pings, and a tunnel in which nothing passes for `proxy_read_timeout` is ended, as in nginx.',
  },
  websocket_close_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '5s',
    doc: 'When the gateway ends a tunnel: how long a side may take to answer the close frame, or to take anything of what it was sent before, until its connection is closed.',
  },
  websocket_drain_code: {
    in: SETTINGS,
    args: [closeCode],
    default: '1012',
    doc: 'What the close frame says to a client that is asked to go, because the gateway leaves: 1012 is “service restart”, after which a client connects again. 1000 to 1003, 1007 to 1014 but not 1010, or 3000 to 4999.',
  },
  websocket_drain_rate: {
    in: ['http'],
    args: [perSecond],
    default: '200/s',
    doc: 'How many tunnels in a second are asked to go, over all workers, with a little jitter; those without a message for longest go first. Where `worker_shutdown_timeout` would not suffice at this rate, it is raised.',
  },
  websocket_max_age: {
    in: SETTINGS,
    args: [ageKind],
    default: 'off',
    doc: 'After so long the client of a tunnel is asked to go, with the code of `websocket_drain_code`; up to a tenth earlier, so that those who came together do not go together. `off`: a tunnel may last for ever.',
  },
  websocket_connect_wait: {
    in: SETTINGS,
    args: [time('time'), parameters('parameters', { max: integer('number', { min: 1 }), rate: perSecond })],
    default: '0',
    doc: 'How long an opening handshake for which no peer is there, because all refuse connections or are disabled, unhealthy or full, waits for one to come back; then it gets 503 with `Retry-After`. At most `max` wait for an upstream (1000), and when a peer is back, it gets `rate` of them (200/s), fewer in the first second; both over all workers. 0: none waits.',
  },
  websocket_resume: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether a client stays when its upstream server is lost: it dies, says 1001 or 1012, or a reload takes it away. Between two messages another one (or the same) gets the opening handshake again, with `Sockgate-Resume: N` for the N-th time, and what the client has sent meanwhile. Where none is found, or a message was cut in its middle, the client is told `websocket_drain_code`. For applications whose messages stand alone, or that heed that header: what a server had not answered may be lost. permessage-deflate is agreed on without context. Not with `sticky engineio`.',
  },
  websocket_resume_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '10s',
    doc: 'How long another upstream server is looked for in place of one that was lost; see `websocket_resume`.',
  },
  websocket_resume_replay: {
    in: SETTINGS,
    args: [integer('number'), parameters('parameters', { size: size('size') })],
    default: '0',
    doc: 'How many of the messages that a client sent first the next upstream server gets again before all else, such as the one that logs it in; the answers reach the client again. They are kept in memory, of at most `size` bytes together (64k): a client that sends more does not stay. 0: none.',
  },
  websocket_log: {
    in: SETTINGS,
    args: [oneOf('when', 'open', 'close', 'both')],
    default: 'close',
    doc: 'When a tunnel is a line of `access_log`: at its end, with what became of it; at its 101 (`open`); or at both, and `$websocket_event` says which one it is.',
  },
  websocket_validate: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether both sides of a tunnel must keep to RFC 6455: masks, reserved bits, opcodes, fragments, control frames, close codes (1002), and UTF-8 in texts and reasons (1007). What does not is not passed on: its sender gets the close frame, the other side 1001 (a peer) or 1014 (a client). Texts under permessage-deflate are not inflated, so not read. `off`: what is no frame passes as it is.',
  },
  websocket_max_frame_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '0',
    doc: 'The longest payload of one frame from a client, as it is on the wire; a longer one ends the tunnel with 1009 before a byte of it has passed. 0: any.',
  },
  websocket_max_message_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '0',
    doc: 'The longest message from a client, all its frames together, as they are on the wire: under permessage-deflate its compressed size. The frame with which it grows longer ends the tunnel with 1009. 0: any.',
  },
  websocket_message_rate: {
    in: SETTINGS,
    args: [rateKind(['delay', 'close'])],
    default: 'off',
    doc: 'How many messages a client may send: so many a second (`N/s`) or a minute (`N/m`), and `burst` more at once (default 0). Those that come faster wait, for the client is read no faster (`delay`, the default), or end the tunnel with 1008 (`close`).',
  },
  websocket_control_rate: {
    in: SETTINGS,
    args: [rateKind(['close'])],
    default: 'off',
    doc: 'How many pings, pongs, close frames and fragments without a byte a client may send, as in `websocket_message_rate`; more end the tunnel with 1008.',
  },
});

/** `auto`, or a time in ms: 0 for `off`. */
function pingTime<const Name extends string>(name: Name) {
  const interval = time(name);
  return argument(name, `auto | off | ${name}`, (text, given, directive) => {
    if (text === 'auto') return text;
    return text === 'off' ? 0 : interval.parse([given], directive);
  });
}

type Set = SetOf<typeof table>;

export const websocket = nginxModule('websocket', {
  doc: 'Our own: what the gateway does for WebSockets. [websocket.md](websocket.md) shows each with a configuration to copy.',
  directives: table,
  variables: {
    ...tunnelVariables,
    // What the map of nginx's page on WebSockets makes, but for `close` where no upgrade is asked for: then nothing is said, so that the
    // connection to the upstream is kept.
    connection_upgrade: ({ head }) => (head.upgrade === '' ? '' : 'upgrade'),
  },
  changeable: ['connection_upgrade'],
  http(set, draft) {
    draft.drainRate = set.websocket_drain_rate;
  },
  location(set, { settings, workshop }, level) {
    settings.websocket = settingsOf(set, workshop, level);
  },
});

/** Made once for all locations that have the same directives in force. */
const made = new WeakMap<Set, WebSocketSettings>();

function settingsOf(set: Set, workshop: Workshop, level: Level): WebSocketSettings {
  const known = made.get(set);
  if (known !== undefined) return known;
  const settings: WebSocketSettings = Object.freeze({
    upgrade: set.websocket,
    allowsOrigin: once(set.websocket_allow_origin, originTest, workshop, level.at('websocket_allow_origin')),
    subprotocols: once(set.websocket_subprotocols, namesOf, workshop, level.at('websocket_subprotocols')),
    extensions: EXTENSIONS[set.websocket_extensions],
    ping: set.websocket_ping,
    closeTimeout: set.websocket_close_timeout,
    drainCode: set.websocket_drain_code,
    maxAge: set.websocket_max_age,
    connectWait: connectWait(set),
    resume: resumeOf(set),
    log: set.websocket_log,
    validate: set.websocket_validate,
    maxFrameSize: set.websocket_max_frame_size || Number.POSITIVE_INFINITY,
    maxMessageSize: set.websocket_max_message_size || Number.POSITIVE_INFINITY,
    messageRate: set.websocket_message_rate,
    controlRate: set.websocket_control_rate,
  });
  made.set(set, settings);
  pingPlaces.set(settings, level.at('websocket_ping'));
  return settings;
}

/** Where the interval stands that is in force. */
const pingPlaces = new WeakMap<WebSocketSettings, Position | undefined>();

/**
 * Warns of an interval that is too long for the `proxy_read_timeout` of the location, in ms. Where that was chosen in the location and the
 * interval above it, there may be no WebSockets at all.
 */
export function checkPing(settings: WebSocketSettings, readTimeout: number, workshop: Workshop, level: Level): void {
  const { ping, upgrade } = settings;
  if (ping === 'auto' || ping === 0 || ping < readTimeout || upgrade === 'off') return;
  if (level.has('proxy_read_timeout') && !level.stands('websocket_ping') && upgrade !== 'on') return;
  const at = pingPlaces.get(settings);
  const told = workshop.problems.all.some((problem) => problem.at === at && problem.message === LATE_PING);
  if (!told) workshop.warn(LATE_PING, at, 'with "auto" it is a third of that');
}

const LATE_PING =
  '"websocket_ping" is not below "proxy_read_timeout": a dead side of a tunnel is found only after both together';

const EXTENSIONS: Readonly<Record<Set['websocket_extensions'], ReadonlySet<string> | undefined>> = {
  any: undefined,
  off: new Set(),
  'permessage-deflate': new Set(['permessage-deflate']),
};

/** What lines mean, made once, whoever takes them from the level where they stand; and their mistake is told once. */
const meanings = new WeakMap<object, unknown>();

function once<T extends object, R>(
  lines: T,
  make: (lines: T) => R | undefined,
  { problems }: Workshop,
  at: Position | undefined,
): R | undefined {
  if (meanings.has(lines)) return meanings.get(lines) as R | undefined;
  let meaning: R | undefined;
  try {
    meaning = make(lines);
  } catch (error) {
    problems.caught(error, undefined, at);
  }
  meanings.set(lines, meaning);
  return meaning;
}

function namesOf(lines: readonly (readonly string[])[]): ReadonlySet<string> | undefined {
  const names = lines.flat();
  if (!names.includes('any')) return names.length === 0 ? undefined : new Set(names);
  if (names.length > 1) throw new ConfigError('"any" allows every subprotocol: nothing can stand beside it');
  return undefined;
}

const REPLAY_SIZE = 64 * 1024;

function resumeOf(set: Set): WebSocketResume | undefined {
  if (!set.websocket_resume) return undefined;
  const { number: count, parameters: given } = set.websocket_resume_replay;
  const replay = count === 0 ? undefined : { count, size: given.size ?? REPLAY_SIZE };
  return { timeout: set.websocket_resume_timeout, replay };
}

const MOST_WAITING = 1000;
const RETURN_RATE = 200;

function connectWait({ websocket_connect_wait: { time: timeout, parameters: limits } }: Set): ConnectWait | undefined {
  return timeout === 0 ? undefined : { timeout, most: limits.max ?? MOST_WAITING, rate: limits.rate ?? RETURN_RATE };
}

// websocket: what the gateway does for WebSockets beyond passing their bytes. This module is our own; nginx has none like it.

import { directives, type SetOf } from '../config/directive.ts';
import { argument, oneOf, time } from '../config/values.ts';
import type { WebSocketSettings } from '../exchange/websocket-settings.ts';
import { nginxModule } from './module.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

const table = directives({
  websocket: {
    in: SETTINGS,
    args: [oneOf('mode', 'auto', 'on', 'off')],
    default: 'auto',
    doc: 'Whether a valid opening handshake is passed to the upstream as one: always, whatever `proxy_set_header` and `proxy_http_version` say (`auto`); so, and any other request is refused with 426 (`on`); or only where `proxy_set_header` says so, as in nginx (`off`).',
  },
  websocket_ping: {
    in: SETTINGS,
    args: [pingTime('interval')],
    default: 'auto',
    doc: 'How long a side of a tunnel may be silent before the gateway sends it a ping, which only that side sees, and whose pong counts as life; up to a quarter earlier, so that not all tunnels ping at once. A side that stays silent for `proxy_read_timeout` is dead, and both are ended; one that answers is never ended for its silence. `auto` is a third of `proxy_read_timeout`; an interval that is not below it never comes. `off`: no pings, and a tunnel in which nothing passes for `proxy_read_timeout` is ended, as in nginx.',
  },
  websocket_close_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '5s',
    doc: 'When the gateway ends a tunnel: how long a side may take to answer the close frame, or to take anything of what it was sent before, until its connection is closed.',
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
  location(set, { settings }) {
    settings.websocket = settingsOf(set);
  },
});

/** Made once for all locations that have the same directives in force. */
const made = new WeakMap<Set, WebSocketSettings>();

function settingsOf(set: Set): WebSocketSettings {
  const known = made.get(set);
  if (known !== undefined) return known;
  const settings: WebSocketSettings = Object.freeze({
    upgrade: set.websocket,
    ping: set.websocket_ping,
    closeTimeout: set.websocket_close_timeout,
  });
  made.set(set, settings);
  return settings;
}

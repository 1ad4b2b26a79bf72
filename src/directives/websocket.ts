// websocket: what the gateway does for WebSockets beyond passing their bytes. This module is our own; nginx has none like it.

import { directives, type SetOf } from '../config/directive.ts';
import { oneOf } from '../config/values.ts';
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
});

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
  });
  made.set(set, settings);
  return settings;
}

// An opening handshake by hand: its lines, and what a peer answers to it.

import { acceptKey } from '../../src/websocket/handshake.ts';

export const HANDSHAKE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** The 101 to `openingHandshake`. */
export const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(HANDSHAKE_KEY)}\r\n\r\n`;

/** @param fields instead of the usual ones of these names, or beside them; '' leaves one out */
export function openingHandshake(path: string, fields: Readonly<Record<string, string>> = {}): string {
  const all = {
    Host: 'front.example',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': HANDSHAKE_KEY,
    ...fields,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== '');
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

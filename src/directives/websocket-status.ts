// websocket_status: a page that says how many tunnels there are and were, and what ended them. This module is our own.

import { directives } from '../config/directive.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { DONE, type Verdict } from '../exchange/verdict.ts';
import { sendText } from '../serve/answer.ts';
import { TunnelCounts } from '../websocket/tunnel-counts.ts';
import { nginxModule } from './module.ts';

export const websocketStatus = nginxModule('websocket_status', {
  doc: 'Our own: the sibling of `stub_status` for tunnels. [websocket.md](websocket.md#every-end-has-a-cause) tells what the numbers mean.',
  directives: directives({
    websocket_status: {
      in: ['location'],
      args: [],
      inherit: false,
      doc: 'Answers with the numbers of tunnels, over all workers, a name and a number on each line: `opened` and `ended` since the start, `open` now, `ended_CAUSE` for each cause of `$websocket_close_cause`, with `_` for its spaces, `resumed` and `lost_messages` for `websocket_resume`, and `refused_origin` and `refused_subprotocol` for opening handshakes. A reload does not begin them anew.',
    },
  }),
  location(_, draft, level) {
    if (!level.has('websocket_status')) return;
    const counts = TunnelCounts.of(draft.workshop.zones);
    draft.contentHandler = (exchange) => sendStatus(exchange, counts);
  },
});

function sendStatus(exchange: Exchange, counts: TunnelCounts): Verdict {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return 405;
  sendText(exchange, 200, 'text/plain', statusText(counts));
  return DONE;
}

function statusText(counts: TunnelCounts): string {
  const ended = [...counts.ended()];
  const total = ended.reduce((sum, [, number]) => sum + number, 0);
  const { open, opened } = counts;
  const lines: (readonly [string, number])[] = [
    ['opened', opened],
    ['open', open],
    ['ended', total],
    ...ended.map(([cause, number]) => [`ended_${cause.replaceAll(' ', '_')}`, number] as const),
    ['resumed', counts.resumed],
    ['lost_messages', counts.lostMessages],
    ...[...counts.refused()].map(([cause, number]) => [`refused_${cause}`, number] as const),
  ];
  return lines.map(([name, number]) => `${name} ${number}\n`).join('');
}

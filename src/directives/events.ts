// The events block: how many connections a worker may have, and nginx's ways of waiting for them, of which Node has its own.
// https://nginx.org/en/docs/ngx_core_module.html#events

import { parseNetwork } from '../addresses.ts';
import { directives } from '../config/directive.ts';
import type { Problems } from '../config/errors.ts';
import { argument, flag, integer, oneOf, saying, time } from '../config/values.ts';
import type { CoreSettings } from '../snapshot.ts';
import { nginxModule } from './module.ts';

const tuned = { in: ['events'], effect: 'no effect' } as const;
const DEFAULT_CONNECTIONS = 512;

/** A host that is to be looked up; undefined where it is none. */
const addressKind = argument('address', 'address | CIDR | unix:', (text, { at }, _directive, warn) => {
  if (text === 'unix:') return undefined;
  const network = parseNetwork(text);
  if (network?.hadLowBits) warn(`low address bits of ${text} are meaningless`, at);
  return network === undefined ? text : undefined;
});

/** nginx's ways on Linux. */
const methods = ['epoll', 'poll', 'select'] as const;

export const events = nginxModule('events', {
  doc: 'https://nginx.org/en/docs/ngx_core_module.html#events',
  directives: directives({
    events: { in: ['main'], args: [], block: 'events', doc: 'How connections are processed.' },
    worker_connections: {
      in: ['events'],
      args: [saying(integer('number'), (text) => `invalid number "${text}"`)],
      default: `${DEFAULT_CONNECTIONS}`,
      doc: 'The most clients that a worker may have at a time, tunnels among them; further ones wait.',
      differs: 'Connections to peers do not count.',
    },
    use: {
      ...tuned,
      args: [saying(oneOf('method', ...methods), (text) => `invalid event type "${text}"`)],
      doc: 'Node waits for events in the one way that it has.',
    },
    multi_accept: { ...tuned, args: [flag], doc: 'Node accepts as many connections as there are.' },
    accept_mutex: { ...tuned, args: [flag], doc: 'The kernel spreads connections over the workers.' },
    accept_mutex_delay: { ...tuned, args: [time('time')], doc: 'See `accept_mutex`.' },
    debug_connection: { ...tuned, args: [addressKind], many: true, doc: 'There is no debugging log.' },
    worker_aio_requests: { ...tuned, args: [integer('number')], doc: 'Files are read by the thread pool of Node.' },
  }),
  main(_, draft) {
    draft.core.workerConnections = DEFAULT_CONNECTIONS;
  },
  events(set, draft, level) {
    draft.core.workerConnections = set.worker_connections;
    set.debug_connection.forEach((host, index) => {
      if (host === undefined || draft.workshop.lookUp(host)?.length !== 0) return;
      const at = level.places('debug_connection')[index];
      draft.workshop.error(`host not found in debug_connection "${host}"`, at);
    });
  },
});

/** A worker that could hold no connection besides its listening sockets would serve nobody. */
export function checkConnections({ workerConnections }: CoreSettings, listeners: number, problems: Problems): void {
  if (workerConnections > listeners) return;
  problems.error(`${workerConnections} worker_connections are not enough for ${listeners} listening sockets`);
}

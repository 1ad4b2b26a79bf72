// The events block: how many connections a worker may have, and nginx's ways of waiting for them, of which Node has its own.
// https://nginx.org/en/docs/ngx_core_module.html#events

import { directives } from '../config/directive.ts';
import { flag, integer, word } from '../config/values.ts';
import { nginxModule } from './module.ts';

const tuned = { in: ['events'], effect: 'no effect' } as const;

export const events = nginxModule('events', {
  doc: 'https://nginx.org/en/docs/ngx_core_module.html#events',
  directives: directives({
    events: { in: ['main'], args: [], block: 'events', doc: 'How connections are processed.' },
    worker_connections: {
      in: ['events'],
      args: [integer('number')],
      default: '512',
      doc: 'The most connections that a worker may have open at a time, clients and peers together.',
    },
    use: { ...tuned, args: [word('method')], doc: 'Node waits for events in the one way that it has.' },
    multi_accept: { ...tuned, args: [flag], doc: 'Node accepts as many connections as there are.' },
    accept_mutex: { ...tuned, args: [flag], doc: 'The kernel spreads connections over the workers.' },
    accept_mutex_delay: { ...tuned, args: [word('time')], doc: 'See `accept_mutex`.' },
    debug_connection: { ...tuned, args: [word('address')], many: true, doc: 'There is no debugging log.' },
    worker_aio_requests: { ...tuned, args: [integer('number')], doc: 'Files are read by the thread pool of Node.' },
  }),
  main(_, draft) {
    draft.core.workerConnections = 512;
  },
  events(set, draft) {
    draft.core.workerConnections = set.worker_connections;
  },
});

// ssi: understood, and told that it has no effect. Pages are sent as they are, with their comments; its variables are there.
// https://nginx.org/en/docs/http/ngx_http_ssi_module.html

import { directives } from '../config/directive.ts';
import { flag, rest, size, telling, text } from '../config/values.ts';
import { longDate } from './clock.ts';
import { nginxModule } from './module.ts';

const tuned = { in: ['http', 'server', 'location'], effect: 'no effect', doc: 'See `ssi`.' } as const;

export const ssi = nginxModule('http_ssi', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_ssi_module.html',
  variables: {
    date_local: () => longDate(undefined),
    date_gmt: () => longDate('UTC'),
  },
  directives: directives({
    ssi: {
      in: ['http', 'server', 'location', 'if'],
      args: [
        telling(flag, (on) => (on ? '"ssi on" has no effect: commands in answers are not carried out' : undefined)),
      ],
      effect: 'notice',
      doc: 'Is understood, with a warning: answers are sent as they are.',
    },
    ssi_ignore_recycled_buffers: { ...tuned, args: [flag] },
    ssi_last_modified: { ...tuned, args: [flag] },
    ssi_min_file_chunk: { ...tuned, args: [size('size')] },
    ssi_silent_errors: { ...tuned, args: [flag] },
    ssi_types: { ...tuned, args: [rest(text('mime-type'))], many: true },
    ssi_value_length: { ...tuned, args: [size('length')] },
  }),
});

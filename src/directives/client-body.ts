// The directives of the core about bodies of requests: how large, how slow, and where they are gathered.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#client_body_buffer_size

import { directives, type SetOf } from '../config/directive.ts';
import { offset, oneOf, size, time } from '../config/values.ts';
import type { LocationSettings } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';
import { tempFolder, temporaryFolder } from './temporary-folder.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

export const clientBodyDirectives = directives({
  client_body_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may pause within a body; then 408.',
  },
  client_max_body_size: {
    in: SETTINGS,
    args: [offset('size')],
    default: '1m',
    doc: 'The largest body of a request; more is answered with 413. 0: no limit.',
  },
  client_body_buffer_size: {
    in: SETTINGS,
    args: [size('size')],
    default: '8k',
    doc: 'So much of a body is gathered in memory before the upstream is asked (`proxy_request_buffering on`); a larger one in a temporary file.',
  },
  client_body_in_file_only: {
    in: SETTINGS,
    args: [oneOf('how', 'on', 'off', 'clean')],
    default: 'off',
    doc: 'Whether every body that is gathered is written to a file: `on` leaves it there for good, `clean` removes it after the request.',
  },
  client_body_temp_path: {
    in: SETTINGS,
    args: temporaryFolder,
    doc: 'The folder for bodies of requests that do not fit `client_body_buffer_size`; up to three levels of folders below it, each of so many characters. Default: `client_body_temp` of the prefix.',
  },
});

type BodySettings =
  | 'clientBodyBufferSize'
  | 'clientBodyFolder'
  | 'clientBodyInFile'
  | 'clientBodyTimeout'
  | 'clientMaxBodySize';

export function clientBodySettings(
  set: SetOf<typeof clientBodyDirectives>,
  workshop: Workshop,
): Pick<LocationSettings, BodySettings> {
  return {
    clientBodyTimeout: set.client_body_timeout,
    clientMaxBodySize: set.client_max_body_size,
    clientBodyBufferSize: set.client_body_buffer_size,
    clientBodyInFile: set.client_body_in_file_only,
    clientBodyFolder: tempFolder(set.client_body_temp_path, 'client_body_temp', workshop),
  };
}

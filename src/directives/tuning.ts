// Lines of real configurations that tune nginx's insides, or name parts that we do without: checked, without effect.
// They must not keep anyone out.

import type { Context, DirectiveSpec } from '../config/directive.ts';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseSize } from '../config/quantities.ts';
import {
  argument,
  bufferSize,
  count,
  flag,
  integer,
  mapped,
  offset,
  oneOf,
  parameters,
  path,
  rest,
  size,
  time,
  word,
} from '../config/values.ts';
import { nginxModule } from './module.ts';
import { poolSize } from './pool-size.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MAIN: readonly Context[] = ['main'];
const HTTP: readonly Context[] = ['http'];
const SERVERS: readonly Context[] = ['http', 'server'];
const SETTINGS: readonly Context[] = ['http', 'server', 'location'];
const EVERYWHERE: readonly Context[] = ['http', 'server', 'location', 'if'];

function without<const A extends DirectiveSpec['args']>(contexts: readonly Context[], args: A, doc: string) {
  return { in: contexts, args, doc, effect: 'no effect' } as const;
}

const TABLES = 'Tables grow as they need.';
const FILES = 'Temporary files are written by the thread pool of Node.';
const OTHERS = 'There is no such module.';
const POOL = 'Files are read by the thread pool of Node.';
const CACHE = 'Files are read through the cache of the system.';
const MEMORY = 'V8 has the memory.';

const invalidValue = (_: string, directive: string): string => `"${directive}" directive invalid value`;

const threads = mapped(
  parameters(
    'parameters',
    { threads: integer('number', { min: 1 }), max_queue: integer('number') },
    { needed: true, invalid: (key, value) => `invalid ${key} value "${key}=${value}"` },
  ),
  (given) => {
    if (given.threads === undefined) throw new ConfigError('"thread_pool" must have "threads" parameter');
    return given;
  },
);

const affinityMask = argument('mask', 'auto [mask] | mask ...', (text) => {
  const [wrong] = text === 'auto' ? [] : (/[^01 ]/.exec(text) ?? []);
  if (wrong !== undefined) throw new ConfigError(`invalid character "${wrong}" in "worker_cpu_affinity"`);
  return text;
});

const signedNumber = argument('number', 'number', (text, _, directive) => {
  if (parseNumber(text.replace(/^-/, '')) === undefined)
    throw new ConfigError(`"${directive}" directive invalid number`);
  return Number(text);
});

const aioKind = argument('how', 'on | off | threads[=pool]', (text, _, directive) => {
  if (text === 'on' || text === 'off' || /^threads(=.*)?$/.test(text)) return text;
  throw new ConfigError(invalidValue(text, directive));
});

const directioKind = argument('size', 'size | off', (text, _, directive) => {
  if (text === 'off' || parseSize(text, 'kmg') !== undefined) return text;
  throw new ConfigError(invalidValue(text, directive));
});

export const tuning = nginxModule('tuning', {
  doc: 'Directives that only tune what nginx has inside.',
  directives: directives({
    load_module: {
      in: MAIN,
      args: [path('file')],
      many: true,
      effect: 'notice',
      doc: 'There are no modules to load: what sockgate has is built in, what it has not says so where it is used.',
    },
    worker_cpu_affinity: without(MAIN, [rest(affinityMask)], 'Threads are placed by the kernel.'),
    worker_priority: without(MAIN, [signedNumber], 'Use nice(1).'),
    worker_rlimit_core: without(MAIN, [offset('size')], 'Use ulimit.'),
    working_directory: without(MAIN, [path('directory')], 'No core files are written.'),
    debug_points: without(MAIN, [oneOf('action', 'stop', 'abort')], 'There are none.'),
    pcre_jit: without(MAIN, [flag], 'V8 compiles regular expressions by itself.'),
    thread_pool: { ...without(MAIN, [word('name'), threads], POOL), many: true },
    timer_resolution: without(MAIN, [time('interval')], 'Time is read when it is needed.'),
    lock_file: without(MAIN, [path('file')], 'Nothing needs it.'),
    ssl_engine: without(MAIN, [word('device')], 'OpenSSL is that of Node.'),
    ssl_object_cache_inheritable: without(MAIN, [flag], 'Certificates are read anew at each reload.'),
    env: {
      ...without(MAIN, [word('variable')], 'Nothing is taken from the environment, and nothing from it is hidden.'),
      many: true,
    },
    sendfile: without(EVERYWHERE, [flag], 'Files are read in pieces.'),
    sendfile_max_chunk: without(SETTINGS, [size('size')], 'Files are read in pieces of 64 KB.'),
    tcp_nopush: without(SETTINGS, [flag], 'A head and the beginning of its body leave together.'),
    aio: without(SETTINGS, [aioKind], POOL),
    aio_write: without(SETTINGS, [flag], FILES),
    directio: without(SETTINGS, [directioKind], CACHE),
    directio_alignment: without(SETTINGS, [offset('size')], CACHE),
    output_buffers: without(SETTINGS, [count('number'), bufferSize('size')], 'Files are read in pieces of 64 KB.'),
    postpone_output: without(SETTINGS, [size('size')], 'What belongs together leaves together.'),
    read_ahead: without(SETTINGS, [size('size')], 'The kernel reads ahead.'),
    types_hash_max_size: without(SETTINGS, [integer('size')], TABLES),
    types_hash_bucket_size: without(SETTINGS, [integer('size')], TABLES),
    server_names_hash_max_size: without(HTTP, [integer('size')], TABLES),
    server_names_hash_bucket_size: without(HTTP, [integer('size')], TABLES),
    variables_hash_max_size: without(HTTP, [integer('size')], TABLES),
    variables_hash_bucket_size: without(HTTP, [integer('size')], TABLES),
    request_pool_size: without(SERVERS, [poolSize], MEMORY),
    client_body_in_single_buffer: without(SETTINGS, [flag], 'Whatever reads a body reads it whole.'),
    fastcgi_temp_path: without(SETTINGS, temporaryFolder, OTHERS),
    uwsgi_temp_path: without(SETTINGS, temporaryFolder, OTHERS),
    scgi_temp_path: without(SETTINGS, temporaryFolder, OTHERS),
    subrequest_output_buffer_size: without(SETTINGS, [size('size')], 'There are no subrequests.'),
    send_lowat: without(SETTINGS, [size('size')], 'It has no effect on Linux.'),
  }),
  main(set, draft, level) {
    set.load_module.forEach((file, index) => {
      const message = `"load_module ${file}" has nothing to load: modules are built in`;
      draft.workshop.problems.notice(message, level.places('load_module')[index]);
    });
  },
});

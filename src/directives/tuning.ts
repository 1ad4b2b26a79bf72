// Lines of real configurations that tune nginx's insides, or name parts that we do without: checked, without effect.
// They must not keep anyone out.

import type { Context, DirectiveSpec } from '../config/directive.ts';
import { directives } from '../config/directive.ts';
import { any, flag, integer, path, rest, size, time, word } from '../config/values.ts';
import { nginxModule } from './module.ts';

const MAIN: readonly Context[] = ['main'];
const HTTP: readonly Context[] = ['http'];
const SERVERS: readonly Context[] = ['http', 'server'];
const SETTINGS: readonly Context[] = ['http', 'server', 'location'];

function without<const A extends DirectiveSpec['args']>(contexts: readonly Context[], args: A, doc: string) {
  return { in: contexts, args, doc, effect: 'no effect' } as const;
}

const TABLES = 'Tables grow as they need.';
const FILES = 'There are no temporary files.';
const words = [rest(word('value'))] as const;
const folder = [path('path'), any(integer('level'))] as const;

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
    worker_cpu_affinity: without(MAIN, words, 'Threads are placed by the kernel.'),
    worker_priority: without(MAIN, [word('number')], 'Use nice(1).'),
    worker_rlimit_core: without(MAIN, [size('size')], 'Use ulimit.'),
    working_directory: without(MAIN, [path('directory')], 'No core files are written.'),
    debug_points: without(MAIN, [word('action')], 'There are none.'),
    pcre_jit: without(MAIN, [flag], 'V8 compiles regular expressions by itself.'),
    thread_pool: { ...without(MAIN, words, 'Files are read by the thread pool of Node.'), many: true },
    timer_resolution: without(MAIN, [time('interval')], 'Time is read when it is needed.'),
    lock_file: without(MAIN, [path('file')], 'Nothing needs it.'),
    ssl_engine: without(MAIN, [word('device')], 'OpenSSL is that of Node.'),
    env: {
      ...without(MAIN, [word('variable')], 'Nothing is taken from the environment, and nothing from it is hidden.'),
      many: true,
    },
    sendfile: without(SETTINGS, [flag], 'Files are read in pieces.'),
    sendfile_max_chunk: without(SETTINGS, [size('size')], 'Files are read in pieces of 64 KB.'),
    tcp_nopush: without(SETTINGS, [flag], 'A head and the beginning of its body leave together.'),
    aio: without(SETTINGS, [word('how')], 'Files are read by the thread pool of Node.'),
    aio_write: without(SETTINGS, [flag], FILES),
    directio: without(SETTINGS, [word('size')], 'Files are read through the cache of the system.'),
    directio_alignment: without(SETTINGS, [size('size')], 'Files are read through the cache of the system.'),
    output_buffers: without(SETTINGS, [integer('number'), size('size')], 'Files are read in pieces of 64 KB.'),
    postpone_output: without(SETTINGS, [size('size')], 'What belongs together leaves together.'),
    read_ahead: without(SETTINGS, [size('size')], 'The kernel reads ahead.'),
    open_file_cache: without(SETTINGS, words, 'Files are opened when they are asked for.'),
    open_file_cache_errors: without(SETTINGS, [flag], 'Files are opened when they are asked for.'),
    open_file_cache_min_uses: without(SETTINGS, [integer('number')], 'Files are opened when they are asked for.'),
    open_file_cache_valid: without(SETTINGS, [time('time')], 'Files are opened when they are asked for.'),
    types_hash_max_size: without(SETTINGS, [integer('size')], TABLES),
    types_hash_bucket_size: without(SETTINGS, [integer('size')], TABLES),
    server_names_hash_max_size: without(HTTP, [integer('size')], TABLES),
    server_names_hash_bucket_size: without(HTTP, [integer('size')], TABLES),
    variables_hash_max_size: without(HTTP, [integer('size')], TABLES),
    variables_hash_bucket_size: without(HTTP, [integer('size')], TABLES),
    connection_pool_size: without(SERVERS, [size('size')], 'V8 has the memory.'),
    request_pool_size: without(SERVERS, [size('size')], 'V8 has the memory.'),
    client_body_in_single_buffer: without(SETTINGS, [flag], 'There are no request buffers of that kind.'),
    client_body_in_file_only: without(SETTINGS, [word('how')], FILES),
    client_body_temp_path: without(SETTINGS, folder, FILES),
    fastcgi_temp_path: without(SETTINGS, folder, FILES),
    uwsgi_temp_path: without(SETTINGS, folder, FILES),
    scgi_temp_path: without(SETTINGS, folder, FILES),
    subrequest_output_buffer_size: without(SETTINGS, [size('size')], 'There are no subrequests.'),
    msie_padding: without(SETTINGS, [flag], 'No browser that is still in use needs it.'),
    msie_refresh: without(SETTINGS, [flag], 'No browser that is still in use needs it.'),
    send_lowat: without(SETTINGS, [size('size')], 'It has no effect on Linux.'),
    http2: {
      in: SERVERS,
      args: [flag],
      default: 'off',
      doc: 'Is understood, with a warning: ALPN offers http/1.1 only, for now.',
    },
  }),
  main(set, draft, level) {
    for (const file of set.load_module) {
      draft.workshop.problems.notice(
        `"load_module ${file}" has nothing to load: modules are built in`,
        level.at('load_module'),
      );
    }
  },
  server(set, draft, level) {
    if (set.http2) draft.workshop.warn('"http2 on" has no effect yet: ALPN offers http/1.1 only', level.at('http2'));
  },
});

// -v, -V and -h: what this is, what is in it, how it is used.

import { allModules } from '../directives/all-modules.ts';
import { VERSION } from '../version.ts';
import { CONFIG_FILES, ERROR_LOG } from './paths.ts';

/** The nginx whose language and meaning we follow. */
const NGINX_VERSION = '1.31.5';

/** nginx's module, and a directive that is there where the module is. */
type ModuleMark = readonly [module: string, directive: string];

/** What nginx has unless it is built without. */
const DEFAULT_MODULES: readonly ModuleMark[] = [
  ['http_charset_module', 'charset'],
  ['http_gzip_module', 'gzip'],
  ['http_ssi_module', 'ssi'],
  ['http_userid_module', 'userid'],
  ['http_access_module', 'allow'],
  ['http_auth_basic_module', 'auth_basic'],
  ['http_mirror_module', 'mirror'],
  ['http_autoindex_module', 'autoindex'],
  ['http_geo_module', 'geo'],
  ['http_map_module', 'map'],
  ['http_split_clients_module', 'split_clients'],
  ['http_referer_module', 'valid_referers'],
  ['http_rewrite_module', 'rewrite'],
  ['http_proxy_module', 'proxy_pass'],
  ['http_fastcgi_module', 'fastcgi_pass'],
  ['http_uwsgi_module', 'uwsgi_pass'],
  ['http_scgi_module', 'scgi_pass'],
  ['http_grpc_module', 'grpc_pass'],
  ['http_tunnel_module', 'tunnel_pass'],
  ['http_memcached_module', 'memcached_pass'],
  ['http_limit_conn_module', 'limit_conn'],
  ['http_limit_req_module', 'limit_req'],
  ['http_empty_gif_module', 'empty_gif'],
  ['http_browser_module', 'modern_browser'],
  ['http_upstream_hash_module', 'hash'],
  ['http_upstream_ip_hash_module', 'ip_hash'],
  ['http_upstream_least_conn_module', 'least_conn'],
  ['http_upstream_least_time_module', 'least_time'],
  ['http_upstream_random_module', 'random'],
  ['http_upstream_keepalive_module', 'keepalive'],
  ['http_upstream_zone_module', 'zone'],
  ['http_upstream_sticky_module', 'sticky'],
  ['http-cache', 'proxy_cache'],
];

/** What nginx has only when it is built with. */
const OPTIONAL_MODULES: readonly ModuleMark[] = [
  ['http_ssl_module', 'ssl_certificate'],
  ['http_v3_module', 'http3'],
  ['http_realip_module', 'set_real_ip_from'],
  ['http_addition_module', 'add_after_body'],
  ['http_sub_module', 'sub_filter'],
  ['http_dav_module', 'dav_methods'],
  ['http_flv_module', 'flv'],
  ['http_mp4_module', 'mp4'],
  ['http_gunzip_module', 'gunzip'],
  ['http_gzip_static_module', 'gzip_static'],
  ['http_auth_request_module', 'auth_request'],
  ['http_random_index_module', 'random_index'],
  ['http_secure_link_module', 'secure_link'],
  ['http_slice_module', 'slice'],
  ['http_stub_status_module', 'stub_status'],
];

type Presence = 'works' | 'understood' | 'absent';

/** A directive that is only accepted, without effect, does not make its module work. */
function presenceOf(directive: string): Presence {
  for (const { directives } of allModules) {
    if (!Object.hasOwn(directives, directive)) continue;
    return directives[directive]?.effect === undefined ? 'works' : 'understood';
  }
  return 'absent';
}

function named(marks: readonly ModuleMark[], presence: Presence): string[] {
  return marks.filter(([, directive]) => presenceOf(directive) === presence).map(([name]) => name);
}

/**
 * As nginx's `configure` takes them: `--with-http_ssl_module --without-http_fastcgi_module`. Whoever looks for `--without-` wants to know
 * whether a configuration that has the module's directives can be run; where they are understood it can.
 */
function configureArguments(): string {
  return [
    ...named(OPTIONAL_MODULES, 'works').map((name) => `--with-${name}`),
    ...named(DEFAULT_MODULES, 'absent').map((name) => `--without-${name}`),
  ].join(' ');
}

/** Ours, and for programs that look for it nginx's. */
export function versionText(): string {
  return `sockgate version: sockgate/${VERSION}\nnginx version: nginx/${NGINX_VERSION}\n`;
}

export function buildText(): string {
  const openssl = process.versions.openssl.replace(/\+.*$/, '');
  return [
    `built with OpenSSL ${openssl}`,
    `running on Node ${process.versions.node}`,
    'TLS SNI support enabled',
    `understood, without effect: ${named([...DEFAULT_MODULES, ...OPTIONAL_MODULES], 'understood').join(' ')}`,
    `configure arguments: ${configureArguments()}`,
    '',
  ].join('\n');
}

export function helpText(): string {
  const [firstConfig, secondConfig] = CONFIG_FILES;
  return `Usage: sockgate [-?hvVtTq] [-s signal] [-p prefix]
                [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and what is in it, then exit
  -t            : test configuration and exit
  -T            : test configuration, print it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a running sockgate: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: the current folder)
  -e filename   : set error log file (default: ${ERROR_LOG}; stderr where there is no folder ${ERROR_LOG.split('/')[0]})
  -c filename   : set configuration file (default: ${firstConfig}, else ${secondConfig})
  -g directives : set global directives out of configuration file

Relative paths, in options and in the configuration, begin at the prefix; those of included files and
certificates begin at the folder of the configuration file.

Examples:
  sockgate -t -c /etc/nginx/nginx.conf       can sockgate run what nginx runs here?
  sockgate -c nginx.conf -g 'daemon off;'    run it in the foreground; Ctrl-C stops it
  sockgate -c nginx.conf                     run it in the background
  sockgate -c nginx.conf -s reload           take the changed file; no connection notices
  sockgate -c nginx.conf -s quit             finish what runs, then stop (stop: at once; reopen: new log files)

Signals: TERM, INT stop; QUIT quit; HUP reload; USR1 reopen.
`;
}

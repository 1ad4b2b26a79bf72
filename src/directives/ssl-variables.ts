// $ssl_…: what is known of the TLS connection to the client. All are without a value where there is none.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#variables

import type { TLSSocket } from 'node:tls';
import type { Exchange } from '../exchange/exchange.ts';
import type { VariableGetter } from './module.ts';
import { sessionId } from './tls-session.ts';

/** Node does not tell what the client offered, nor which curve and signature were chosen; and there are no client certificates yet. */
const WITHOUT_VALUE = [
  'ssl_ciphers',
  'ssl_curve',
  'ssl_curves',
  'ssl_sigalg',
  'ssl_sigalgs',
  'ssl_early_data',
  'ssl_ech_status',
  'ssl_ech_outer_server_name',
  'ssl_client_cert',
  'ssl_client_raw_cert',
  'ssl_client_escaped_cert',
  'ssl_client_s_dn',
  'ssl_client_i_dn',
  'ssl_client_s_dn_legacy',
  'ssl_client_i_dn_legacy',
  'ssl_client_serial',
  'ssl_client_fingerprint',
  'ssl_client_v_start',
  'ssl_client_v_end',
  'ssl_client_v_remain',
  'ssl_client_sigalg',
] as const;

export const sslVariables: Readonly<Record<string, VariableGetter>> = {
  ssl_protocol: (exchange) => tlsOf(exchange)?.getProtocol() ?? undefined,
  ssl_cipher: (exchange) => tlsOf(exchange)?.getCipher().name,
  ssl_server_name: (exchange) => serverNameOf(exchange),
  ssl_session_id: (exchange) => sessionIdOf(exchange),
  ssl_session_reused: (exchange) => {
    const tls = tlsOf(exchange);
    return tls === undefined ? undefined : tls.isSessionReused() ? 'r' : '.';
  },
  ssl_alpn_protocol: (exchange) => {
    const alpn = tlsOf(exchange)?.alpnProtocol;
    return typeof alpn === 'string' ? alpn : undefined;
  },
  ssl_client_verify: (exchange) => (tlsOf(exchange) === undefined ? undefined : 'NONE'),
  ...Object.fromEntries(WITHOUT_VALUE.map((name) => [name, () => undefined])),
};

function tlsOf(exchange: Exchange): TLSSocket | undefined {
  return exchange.link.channel.tls;
}

function serverNameOf(exchange: Exchange): string | undefined {
  // Node's types leave out what a server's socket has: the name that the client sent.
  const { servername } = (tlsOf(exchange) ?? {}) as { servername?: string | false | null };
  return typeof servername === 'string' && servername !== '' ? servername : undefined;
}

function sessionIdOf(exchange: Exchange): string | undefined {
  const session = tlsOf(exchange)?.getSession();
  const id = session === undefined ? '' : sessionId(session).toString('hex');
  return id === '' ? undefined : id;
}

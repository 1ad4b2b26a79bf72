// The `Location` of a redirect that we make ourselves: absolute where `absolute_redirect` says so.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#absolute_redirect

import type { Exchange } from '../exchange/exchange.ts';
import type { Verdict } from '../exchange/verdict.ts';

/**
 * Sets `Location` and returns the status as the handler's verdict. A path becomes an absolute URL by the rules of
 * `absolute_redirect`, `server_name_in_redirect` and `port_in_redirect`; a URL stays as it is.
 * @param target a path, which must be escaped already, or a URL
 */
export function redirectTo(exchange: Exchange, status: number, target: string): Verdict {
  exchange.answer.set('Location', locationOf(exchange, target));
  return status;
}

/** The value of `Location` for a path or a URL. Control characters, as of a decoded `$uri`, are escaped, so that they cannot end the line. */
export function locationOf(exchange: Exchange, target: string): string {
  const safe = escapeControls(target);
  if (!safe.startsWith('/') || !exchange.location.absoluteRedirect) return safe;
  return `${originOf(exchange)}${safe}`;
}

function originOf(exchange: Exchange): string {
  const secure = exchange.link.ends.tls !== undefined;
  const { serverPort } = exchange.link.ends;
  const named = exchange.location.portInRedirect && serverPort !== 0 && serverPort !== (secure ? 443 : 80);
  return `${secure ? 'https' : 'http'}://${hostOf(exchange)}${named ? `:${serverPort}` : ''}`;
}

/** What the client calls us, else our address; or with `server_name_in_redirect` the server's name, where it has one. */
function hostOf(exchange: Exchange): string {
  const { head, link, location, server } = exchange;
  if (location.serverNameInRedirect && server.name !== '') return server.name;
  if (head.host !== '') return head.host;
  return link.ends.serverAddress.includes(':') ? `[${link.ends.serverAddress}]` : link.ends.serverAddress;
}

function escapeControls(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f]/g,
    (control) => `%${control.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

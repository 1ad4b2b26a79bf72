// Whether a connection may stay after a request: what the client asks for, and browsers that cannot keep one (keepalive_disable).
// https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_disable

import type { RequestHead } from '../http1/request-head.ts';

/** Bits of `keepaliveDisable`. */
export const MSIE6 = 1;
export const SAFARI = 2;

/** Whether the request comes from one of the browsers that `disabled` names; Internet Explorer up to 6 misbehaves after a POST. */
export function misbehaves({ method, headers }: RequestHead, disabled: number): boolean {
  const msieMatters = (disabled & MSIE6) !== 0 && method === 'POST';
  if (!msieMatters && (disabled & SAFARI) === 0) return false;
  const agent = headers.get('user-agent') ?? '';
  return (msieMatters && isOldMsie(agent)) || ((disabled & SAFARI) !== 0 && isMacSafari(agent));
}

/** Opera said it was Internet Explorer; version 6 with the second service pack (SV1) is better. */
function isOldMsie(agent: string): boolean {
  const version = /MSIE (?:[45]\.|6\.(?!.*SV1))/.test(agent);
  return version && !agent.includes('Opera');
}

function isMacSafari(agent: string): boolean {
  if (!agent.includes('Safari/') || !agent.includes('Mac OS X')) return false;
  return !/MSIE |Opera|Gecko\/|Chrome\//.test(agent);
}

/** RFC 9112 9.3, and nginx: HTTP/1.0 must ask for it. */
export function wantsKeepAlive(head: RequestHead): boolean {
  if (head.version === 11) return !head.connectionClose;
  return head.version === 10 && head.connectionKeepAlive;
}

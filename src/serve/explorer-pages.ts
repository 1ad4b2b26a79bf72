// What browsers that put a page of their own in the place of a short one are sent, and those that are refreshed instead of redirected.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#msie_padding

import type { Exchange } from '../exchange/exchange.ts';

/** A page that has so many bytes is shown. */
const ENOUGH = 512;
const COMMENT = '<!-- long enough to be shown instead of a page of the browser -->\r\n';

/** Internet Explorer, and Chrome as nginx has it; Opera said that it was the one. HTTP/0.9 has no fields. */
export function wantsPadding({ head, location }: Exchange): boolean {
  if (!location.msiePadding) return false;
  const agent = head.headers.get('user-agent');
  return agent !== undefined && (isExplorer(agent) || isChrome(agent));
}

/** Whether a redirect of ours is a page that leads on instead. */
export function wantsRefresh({ head, location, answer }: Exchange): boolean {
  return location.msieRefresh && answer.has('location') && isExplorer(head.headers.get('user-agent') ?? '');
}

function isExplorer(agent: string): boolean {
  return /MSIE .../.test(agent) && !agent.includes('Opera');
}

function isChrome(agent: string): boolean {
  return agent.includes('Chrome/') && !/Opera|Gecko\//.test(agent);
}

/** The page with as many comments behind it as it needs. */
export function padPage(page: Buffer): Buffer {
  const missing = Math.max(0, Math.ceil((ENOUGH - page.length) / COMMENT.length));
  return Buffer.concat([page, Buffer.from(COMMENT.repeat(missing), 'latin1')]);
}

/** @param url a byte string; whatever could end the attribute is escaped */
export function refreshPage(url: string): Buffer {
  const safe = url.replace(/[\x00-\x20"'<>\\^`{|}\x7f-\xff]/g, percent).replaceAll('&', '&amp;');
  const page = `<html>\r\n<head><meta http-equiv="refresh" content="0; url=${safe}"></head>\r\n<body></body>\r\n</html>\r\n`;
  return Buffer.from(page, 'latin1');
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

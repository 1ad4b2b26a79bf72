// Answers that we make ourselves: the page of last resort for a status, a redirect, a text.

import type { Exchange } from '../exchange/exchange.ts';
import { redirectTo } from '../route/redirects.ts';
import { VERSION } from '../version.ts';
import { padPage, refreshPage, wantsPadding, wantsRefresh } from './explorer-pages.ts';

/** What each page calls its status: nginx's words, which are not always those of the status line. */
const TITLES: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Authorization Required',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Time-out',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  421: 'Misdirected Request',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Temporarily Unavailable',
  504: 'Gateway Time-out',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
};

/** nginx's own statuses, for `error_page` and the log alone: the client is told 400, and why. */
const REASONS_FOR_400: Readonly<Record<number, string>> = {
  494: 'Request Header Or Cookie Too Large',
  495: 'The SSL certificate error',
  496: 'No required SSL certificate was sent',
  497: 'The plain HTTP request was sent to HTTPS port',
};

/** The connection is closed without a word. */
const CLOSE = 444;
const CLIENT_CLOSED = 499;
const CANCELED = 498;

const NO_BODY = Buffer.alloc(0);
const WITHOUT_PAGE = Symbol('without a page');
const pages = new Map<string, Buffer>();

/**
 * Answers a status with nginx's page for it, and ends the exchange. A status without a page gets an empty body; 444 and 499
 * get no answer at all. What stands in `answer` goes with it, except what described the body that will not come.
 */
export function sendErrorPage(exchange: Exchange, status: number): void {
  const told = status in REASONS_FOR_400 ? 400 : status;
  exchange.status = told;
  exchange.errorStatus = 0;
  if (status === CLOSE || status === CLIENT_CLOSED) {
    exchange.cutShort();
    return;
  }
  if ((status === 301 || status === 302) && wantsRefresh(exchange)) {
    sendRefresh(exchange);
    return;
  }
  forgetBody(exchange);
  const page = exchange.note(WITHOUT_PAGE) === true ? NO_BODY : pageFor(exchange, status);
  if (page.length > 0) exchange.answer.set('Content-Type', 'text/html');
  sendWhole(exchange, page);
}

/** An error of this exchange is told without a page of ours: whoever awaits another protocol would take its bytes for that. */
export function leaveOutPage(exchange: Exchange): void {
  exchange.setNote(WITHOUT_PAGE, true);
}

/**
 * Answers with a redirect, and ends the exchange.
 * @param target an absolute URL, or a path (already escaped), which becomes one where `absolute_redirect` is on
 */
export function sendRedirect(exchange: Exchange, status: number, target: string): void {
  redirectTo(exchange, status, target);
  if (wantsRefresh(exchange)) sendRefresh(exchange);
  else sendErrorPage(exchange, status);
}

/** A page that leads where `Location` would: msie_refresh. */
function sendRefresh(exchange: Exchange): void {
  const page = refreshPage(exchange.answer.get('location') ?? '');
  exchange.status = 200;
  exchange.errorStatus = 0;
  exchange.answer.remove('location');
  forgetBody(exchange);
  exchange.answer.set('Content-Type', 'text/html');
  sendWhole(exchange, page);
}

/**
 * Answers with a text, and ends the exchange.
 * @param type for `Content-Type`; '' leaves the header out, as 204 does
 * @param text a byte string
 */
export function sendText(exchange: Exchange, status: number, type: string, text: string): void {
  exchange.status = status;
  if (type !== '' && toldStatus(exchange) !== 204) exchange.answer.set('Content-Type', type);
  sendWhole(exchange, Buffer.from(text, 'latin1'));
}

/** Answers with a body that is at hand, and ends the exchange; what describes it stands in `answer` already. */
export function sendBytes(exchange: Exchange, status: number, body: Uint8Array): void {
  exchange.status = status;
  sendWhole(exchange, body);
}

/** The client is told of the error that is being answered, whatever its page's own status is. */
function toldStatus({ status, errorStatus }: Exchange): number {
  return errorStatus === 0 ? status : errorStatus;
}

/** Sends head and body together, so that they leave as one segment, and ends the exchange. */
function sendWhole(exchange: Exchange, body: Uint8Array): void {
  const told = toldStatus(exchange);
  exchange.contentLength = told === 204 || told === 304 ? -1 : body.length;
  exchange.gather();
  exchange.sendHead();
  exchange.send(body, 0, body.length);
  exchange.finish();
}

/**
 * Does a step of an answer that comes from outside the path (a file, a timer): whatever it throws costs this exchange
 * alone, for nobody further up would catch it.
 */
export function answerSafely(exchange: Exchange, step: () => void): void {
  try {
    step();
  } catch (fault) {
    exchange.log(
      'alert',
      `unexpected fault while answering: ${fault instanceof Error ? fault.message : String(fault)}`,
    );
    if (!exchange.finished) exchange.cutShort();
  }
}

function forgetBody(exchange: Exchange): void {
  for (const name of ['content-type', 'content-length', 'accept-ranges', 'last-modified', 'etag'])
    exchange.answer.remove(name);
  if (exchange.status !== 416) exchange.answer.remove('content-range');
}

function pageFor(exchange: Exchange, status: number): Buffer {
  const product = exchange.location.serverTokens === 'off' ? 'sockgate' : `sockgate/${VERSION}`;
  const padded = status >= 400 && wantsPadding(exchange);
  const key = padded ? `${status} ${product} padded` : `${status} ${product}`;
  let page = pages.get(key);
  if (page === undefined) {
    page = renderPage(status, product);
    if (padded && page.length > 0) page = padPage(page);
    if (page.length > 0) pages.set(key, page);
  }
  return page;
}

function renderPage(status: number, product: string): Buffer {
  const reason = REASONS_FOR_400[status];
  if (reason !== undefined)
    return renderLines(`400 ${reason}`, '400 Bad Request', product, `<center>${reason}</center>`);
  // nginx has it for its own use, and this page for it.
  if (status === CANCELED) return renderPage(404, product);
  const title = TITLES[status];
  return title === undefined ? NO_BODY : renderLines(`${status} ${title}`, `${status} ${title}`, product);
}

function renderLines(title: string, heading: string, product: string, ...more: string[]): Buffer {
  const lines = [
    '<html>',
    `<head><title>${title}</title></head>`,
    '<body>',
    `<center><h1>${heading}</h1></center>`,
    ...more,
    `<hr><center>${product}</center>`,
    '</body>',
    '</html>',
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

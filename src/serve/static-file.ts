// The default content: a file under `root` or `alias`.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#root

import type { Exchange } from '../exchange/exchange.ts';
import { PENDING, type Verdict } from '../exchange/verdict.ts';
import { redirectTo } from '../route/redirects.ts';
import { escapeUri } from '../route/uri.ts';
import { FileAnswer, type FileWish } from './file-answer.ts';
import { filePathOf, refuseFile } from './file-path.ts';

/**
 * Answers GET and HEAD with the file of the URI; redirects the name of a folder to the same with a slash; answers 403, 404
 * and 405 where nginx does. It is the last of the content handlers: a folder that nothing else has answered for is forbidden.
 */
export function serveFile(exchange: Exchange): Verdict {
  const { method, uri } = exchange;
  // POST learns first whether there is such a file, as in nginx.
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 405;
  if (uri.endsWith('/')) return refuseFolder(exchange);
  const path = filePathOf(exchange);
  if (path === undefined) return 403;
  new FileAnswer(exchange, path, new PlainFile(exchange, path)).open();
  return PENDING;
}

class PlainFile implements FileWish {
  readonly encoding = '';
  readonly #exchange: Exchange;
  readonly #path: string;

  constructor(exchange: Exchange, path: string) {
    this.#exchange = exchange;
    this.#path = path;
  }

  missing(call: string, error: unknown): Verdict {
    return refuseFile(this.#exchange, call, this.#path, error);
  }

  found(): Verdict | undefined {
    return this.#exchange.method === 'POST' ? 405 : undefined;
  }

  folder(): Verdict {
    return redirectToFolder(this.#exchange);
  }
}

function refuseFolder(exchange: Exchange): Verdict {
  const { location, uri } = exchange;
  exchange.log('error', `directory index of "${location.filePath(exchange, uri)}" is forbidden`);
  return 403;
}

function redirectToFolder(exchange: Exchange): Verdict {
  const folder = `${escapeUri(exchange.uri)}/`;
  return redirectTo(exchange, 301, exchange.args === '' ? folder : `${folder}?${exchange.args}`);
}

// random_index: any file of a folder answers in the folder's stead.
// https://nginx.org/en/docs/http/ngx_http_random_index_module.html

import { randomInt } from 'node:crypto';
import { opendir, stat } from 'node:fs/promises';
import type { Exchange } from '../exchange/exchange.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { answerSafely } from './answer.ts';
import { filePathOf, pathBytes, refuseFile } from './file-path.ts';

/** Handles a URI that ends in `/`; declines where the folder has no file. Names that begin with a dot are none. */
export function serveRandomIndex(exchange: Exchange): Verdict {
  const { method, uri } = exchange;
  if (!uri.endsWith('/') || (method !== 'GET' && method !== 'HEAD' && method !== 'POST')) return DECLINED;
  const path = filePathOf(exchange);
  if (path === undefined) return 403;
  const goOn = (step: () => void): void => {
    if (!exchange.finished) answerSafely(exchange, step);
  };
  anyFile(path).then(
    (name) => goOn(() => redirect(exchange, name)),
    (error: unknown) => goOn(() => exchange.resume(refuseFile(exchange, 'opendir()', path, error))),
  );
  return PENDING;
}

function redirect(exchange: Exchange, name: string | undefined): void {
  if (name === undefined) exchange.resume(DECLINED);
  else exchange.pipeline.redirect(exchange, exchange.uri + name, exchange.args);
}

/** Each file is as likely as any other: the n-th takes the place of the one before with a chance of 1 in n. */
async function anyFile(path: string): Promise<string | undefined> {
  let chosen: string | undefined;
  let count = 0;
  const folder = await opendir(pathBytes(path), { encoding: 'latin1', bufferSize: 256 });
  for await (const entry of folder) {
    if (entry.name.startsWith('.')) continue;
    const isFile = entry.isFile() || (!entry.isDirectory() && (await leadsToFile(`${path}${entry.name}`)));
    if (isFile && randomInt(++count) === 0) chosen = entry.name;
  }
  return chosen;
}

async function leadsToFile(path: string): Promise<boolean> {
  try {
    return (await stat(pathBytes(path))).isFile();
  } catch {
    return false;
  }
}

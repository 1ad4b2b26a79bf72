// auth_basic: a client must name a user of a file, with the password that is stored there.
// https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html

import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { ALLOWED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { answerSafely } from './answer.ts';
import { type BasicCredentials, basicCredentials } from './passwords/basic-credentials.ts';
import { checkPassword } from './passwords/check-password.ts';
import { workSlowly } from './passwords/slow-work.ts';
import { readUserFile } from './passwords/user-file.ts';

/**
 * Looks for the user in the file; a change of the file holds at once. The event loop is not kept waiting: the file is looked at and
 * read aside, and hashes that take long are computed in slices.
 * @param realm for the client to show; a byte string
 * @param file the path of lines `name:hash`, perhaps with `:` and a comment behind; a byte string
 */
export function authBasic(exchange: Exchange, realm: string, file: string): Verdict {
  const credentials = basicCredentials(exchange.head.headers.get('authorization'));
  if (credentials === undefined) {
    exchange.log('info', 'no user/password was provided for basic authentication');
    return challenge(exchange, realm);
  }
  readUserFile(file.replaceAll('\0', ''), (error, text) => {
    goOn(exchange, () =>
      error === null ? look(exchange, realm, file, text, credentials) : refuse(exchange, file, error),
    );
  });
  return PENDING;
}

/** Goes on after a wait, unless the client has gone. */
function goOn(exchange: Exchange, step: () => Verdict): void {
  if (exchange.finished) return;
  answerSafely(exchange, () => {
    const verdict = step();
    if (verdict !== PENDING) exchange.resume(verdict);
  });
}

function challenge(exchange: Exchange, realm: string): Verdict {
  exchange.answer.set('WWW-Authenticate', `Basic realm="${realm}"`);
  return 401;
}

function refuse(exchange: Exchange, file: string, error: NodeJS.ErrnoException): Verdict {
  const code = systemErrorCode(error);
  const isMissing = code === 'ENOENT';
  exchange.log(isMissing ? 'error' : 'crit', `open() "${file}" failed (${systemErrorText(code)})`);
  return isMissing ? 403 : 500;
}

function look(
  exchange: Exchange,
  realm: string,
  file: string,
  text: string,
  { user, password }: BasicCredentials,
): Verdict {
  const stored = storedPassword(text, user);
  if (stored === undefined) {
    exchange.log('error', `user "${user}" was not found in "${file}"`);
    return challenge(exchange, realm);
  }
  const verdict = (isRight: boolean): Verdict => (isRight ? ALLOWED : mismatch(exchange, realm, user));
  const checked = checkPassword(password, stored);
  if (typeof checked === 'boolean') return verdict(checked);
  workSlowly(
    checked,
    () => !exchange.finished,
    (isRight) => goOn(exchange, () => verdict(isRight)),
    (fault) =>
      goOn(exchange, () => {
        throw fault;
      }),
  );
  return PENDING;
}

function mismatch(exchange: Exchange, realm: string, user: string): Verdict {
  exchange.log('error', `user "${user}": password mismatch`);
  return challenge(exchange, realm);
}

/** Of several lines of one user the first counts. Lines that begin with `#` are comments. The file may be long: it is not taken apart. */
function storedPassword(text: string, user: string): string | undefined {
  if (user.startsWith('#') || user.includes('\n')) return undefined;
  const start = `${user}:`;
  const at = text.startsWith(start) ? 0 : text.indexOf(`\n${start}`) + 1;
  if (at === 0 && !text.startsWith(start)) return undefined;
  const from = at + start.length;
  let end = from;
  while (end < text.length && !ENDS_PASSWORD.has(text[end] as string)) end++;
  return text.slice(from, end);
}

const ENDS_PASSWORD: ReadonlySet<string> = new Set([':', '\r', '\n']);

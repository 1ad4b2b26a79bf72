// The head of our answer to a client: what every answer has, around what this one says.

import { reasonPhrase } from '../http1/head-writer.ts';
import { type Headers, isFieldValue, isToken } from '../http1/headers.ts';
import { httpDate } from '../http1/http-date.ts';
import { VERSION } from '../version.ts';

/** How the end of the answer's body is told to the client. */
export type AnswerFraming = 'none' | 'length' | 'chunked' | 'close';

/** What the head says of the answer. */
export interface AnswerHead {
  readonly status: number;
  /** undefined stands for the usual one. */
  readonly reason: string | undefined;
  readonly addsServer: boolean;
  readonly addsDate: boolean;
  readonly answer: Headers;
  readonly framing: AnswerFraming;
  /** -1 where it is not known. */
  readonly contentLength: number;
}

/** What the location says of every head. */
export interface HeadManners {
  readonly serverTokens: 'on' | 'off' | 'build';
  /** Seconds for `Keep-Alive: timeout=`; 0: not told. */
  readonly keepaliveHeader: number;
}

const SERVER_WITH_VERSION = `Server: sockgate/${VERSION}\r\n`;
const SERVER = 'Server: sockgate\r\n';

/** A head would have carried a line break or a name that is none: response splitting (CWE-113). */
export class UnsafeAnswerError extends Error {
  override readonly name = 'UnsafeAnswerError';
}

/** @throws {UnsafeAnswerError} when a name or a value could be read as more than one field */
export function answerHeadText(head: AnswerHead, manners: HeadManners, keepAlive: boolean): string {
  const { answer, status } = head;
  let text = `HTTP/1.1 ${status < 100 ? `${status}`.padStart(3, '0') : status} ${head.reason ?? reasonPhrase(status)}\r\n`;
  if (head.addsServer) text += manners.serverTokens === 'off' ? SERVER : SERVER_WITH_VERSION;
  if (head.addsDate) text += `Date: ${httpDate(Date.now())}\r\n`;
  for (let i = 0; i < answer.length; i++) text += fieldLine(answer, i);
  if (head.contentLength >= 0 && status !== 204 && status >= 200) text += `Content-Length: ${head.contentLength}\r\n`;
  if (head.framing === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
  if (status === 101) return `${text}\r\n`;
  // Who says what to upgrade to must name it here (RFC 9110 7.8).
  const upgrade = status === 426 && answer.has('upgrade') ? ', upgrade' : '';
  text += keepAlive ? `Connection: keep-alive${upgrade}\r\n` : `Connection: close${upgrade}\r\n`;
  if (keepAlive && manners.keepaliveHeader > 0) text += `Keep-Alive: timeout=${manners.keepaliveHeader}\r\n`;
  return `${text}\r\n`;
}

function fieldLine(answer: Headers, index: number): string {
  const name = answer.nameAt(index);
  const value = answer.valueAt(index);
  if (!answer.isParsedAt(index) && !(isToken(name) && isFieldValue(value))) {
    throw new UnsafeAnswerError(`header "${name}" of the answer has a character that ends the line`);
  }
  return `${name}: ${value}\r\n`;
}

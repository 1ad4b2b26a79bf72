// How a folder's list looks: HTML, JSON, JSONP or XML, as nginx writes them, so that what reads them can read ours.
// https://nginx.org/en/docs/http/ngx_http_autoindex_module.html#autoindex_format

import { isUtf8 } from 'node:buffer';
import { formatHttpDate } from '../http1/http-date.ts';
import { escapeHtml } from '../route/uri.ts';

export interface FolderEntry {
  /** A byte string. */
  readonly name: string;
  readonly kind: 'directory' | 'file' | 'other';
  /** In ms since 1970. */
  readonly modified: number;
  /** In bytes. */
  readonly size: number;
}

export interface ListingStyle {
  /** `autoindex_exact_size`: bytes; else rounded to K, M or G. */
  readonly exactSize: boolean;
  /** `autoindex_localtime`: else UTC. */
  readonly localTime: boolean;
}

/** What is sent: a byte string before the entries, one for each, between them, and behind them. */
export interface Listing {
  readonly type: string;
  readonly head: string;
  entry(entry: FolderEntry): string;
  readonly separator: string;
  readonly tail: string;
}

/** Folders first, then by their bytes. */
export function compareEntries(a: FolderEntry, b: FolderEntry): number {
  if (a.kind === 'directory' && b.kind !== 'directory') return -1;
  if (a.kind !== 'directory' && b.kind === 'directory') return 1;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** @param uri of the folder, decoded */
export function htmlListing(uri: string, style: ListingStyle): Listing {
  const title = escapeHtml(`Index of ${uri}`);
  const lines = [
    '<html>',
    `<head><title>${title}</title></head>`,
    '<body>',
    `<h1>${title}</h1><hr><pre><a href="../">../</a>`,
  ];
  return {
    type: 'text/html',
    head: `${lines.join('\r\n')}\r\n`,
    entry: (entry) => htmlLine(entry, style),
    separator: '',
    tail: '</pre><hr></body>\r\n</html>\r\n',
  };
}

/** @param callback for JSONP; '' for JSON alone */
export function jsonListing(callback: string): Listing {
  const [before, behind] = callback === '' ? ['', ''] : [`/* callback */\r\n${callback}(`, ');'];
  return {
    type: callback === '' ? 'application/json' : 'application/javascript',
    head: `${before}[`,
    entry: jsonObject,
    separator: ',',
    tail: `\r\n]${behind}`,
  };
}

export function xmlListing(): Listing {
  return {
    type: 'text/xml; charset=utf-8',
    head: '<?xml version="1.0"?>\r\n<list>\r\n',
    entry: xmlElement,
    separator: '',
    tail: '</list>\r\n',
  };
}

/** The column of the names, in characters. */
const NAME_WIDTH = 50;
const CUT_MARK = '..&gt;';
const CUT_LENGTH = NAME_WIDTH - 3;

function htmlLine(entry: FolderEntry, style: ListingStyle): string {
  const slash = entry.kind === 'directory' ? '/' : '';
  const link = `<a href="${escapeComponent(entry.name)}${slash}">`;
  return `${link}${nameColumn(entry.name, slash)} ${timeColumn(entry.modified, style)} ${sizeColumn(entry, style)}\r\n`;
}

function nameColumn(name: string, slash: string): string {
  const characters = charactersOf(name);
  if (characters.length > NAME_WIDTH) return `${escapeHtml(bytesOf(characters.slice(0, CUT_LENGTH)))}${CUT_MARK}</a>`;
  const end = characters.length < NAME_WIDTH ? slash : '';
  return `${escapeHtml(name)}${end}</a>${' '.repeat(NAME_WIDTH - characters.length - end.length)}`;
}

/** A name that is UTF-8 is cut between characters, any other between bytes. */
function charactersOf(name: string): readonly string[] {
  const bytes = Buffer.from(name, 'latin1');
  return isUtf8(bytes)
    ? Array.from(bytes.toString('utf8'), (one) => Buffer.from(one, 'utf8').toString('latin1'))
    : [...name];
}

const bytesOf = (characters: readonly string[]): string => characters.join('');

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

function timeColumn(modified: number, { localTime }: ListingStyle): string {
  const time = new Date(modified);
  const shown = localTime ? new Date(modified - time.getTimezoneOffset() * 60_000) : time;
  const day = `${twoDigits(shown.getUTCDate())}-${MONTHS[shown.getUTCMonth()]}-${shown.getUTCFullYear()}`;
  return `${day} ${twoDigits(shown.getUTCHours())}:${twoDigits(shown.getUTCMinutes())}`;
}

const twoDigits = (value: number): string => String(value).padStart(2, '0');

function sizeColumn({ kind, size }: FolderEntry, { exactSize }: ListingStyle): string {
  const width = exactSize ? 19 : 7;
  if (kind === 'directory') return '-'.padStart(width);
  return (exactSize ? String(size) : roundedSize(size)).padStart(width);
}

const KILO = 1024;
/** Up to so many bytes are told exactly. */
const MOST_BYTES = 9999;

function roundedSize(size: number): string {
  if (size >= KILO ** 3) return `${Math.round(size / KILO ** 3)}G`;
  if (size >= KILO ** 2) return `${Math.round(size / KILO ** 2)}M`;
  return size > MOST_BYTES ? `${Math.round(size / KILO)}K` : String(size);
}

function jsonObject({ name, kind, modified, size }: FolderEntry): string {
  const more = kind === 'file' ? `, "size":${size}` : '';
  return `\r\n{ "name":"${escapeJson(name)}", "type":"${kind}", "mtime":"${formatHttpDate(modified)}"${more} }`;
}

function xmlElement({ name, kind, modified, size }: FolderEntry): string {
  const time = `${new Date(modified).toISOString().slice(0, 19)}Z`;
  const more = kind === 'file' ? ` size="${size}"` : '';
  return `<${kind} mtime="${time}"${more}>${escapeHtml(name)}</${kind}>\r\n`;
}

/** Everything but what is unreserved (RFC 3986 section 2.3): a colon would make a scheme of what stands before it. */
function escapeComponent(name: string): string {
  return name.replace(
    /[^A-Za-z0-9\-._~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function escapeJson(text: string): string {
  return text.replace(/["\\]/g, '\\$&').replace(/[\0-\x1f]/g, (control) => JSON.stringify(control).slice(1, -1));
}

// gzip: compresses answers.
// https://nginx.org/en/docs/http/ngx_http_gzip_module.html

import type { Kind } from '../config/directive.ts';
import { directives, type SetOf } from '../config/directive.ts';
import { any, argument, bufferSize, count, flag, integer, oneOf, regex, rest, size, someOf } from '../config/values.ts';
import type { CompressionSettings } from '../exchange/exchange.ts';
import { gzipAnswer, gzipRatio } from '../serve/compress-answer.ts';
import { answerTypes, typeKind } from './answer-types.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;
const SETTINGS = ['http', 'server', 'location'] as const;

const HTML: ReadonlySet<string> = new Set(['text/html']);

type BrowserTest = (browser: string) => boolean;

/** An expression, or nginx's word for the Internet Explorers that could not expand what they asked for. */
const browserKind: Kind<'regex', BrowserTest> = argument('regex', 'regex', (text, given, directive) => {
  if (text === 'msie6') return isOldExplorer;
  const { regexp } = regex('regex', { insensitive: true }).parse([given], directive);
  return (browser) => regexp.test(browser);
});

/** Versions 4, 5 and 6, but for the 6 of Windows XP SP2, which was mended. */
function isOldExplorer(browser: string): boolean {
  const [, version] = /MSIE ([456])\./.exec(browser) ?? [];
  return version !== undefined && (version !== '6' || !browser.includes('SV1'));
}

const table = directives({
  gzip: { in: EVERYWHERE, args: [flag], default: 'off', doc: 'Whether answers are compressed.' },
  gzip_buffers: {
    in: SETTINGS,
    args: [count('number'), bufferSize('size')],
    default: '32 4k',
    doc: 'How much of an answer, compressed, may wait for a slow client: so many buffers of so many bytes.',
  },
  gzip_comp_level: {
    in: SETTINGS,
    args: [integer('level', { min: 1, max: 9 })],
    default: '1',
    doc: 'How hard it is tried to make answers small, 1 to 9.',
  },
  gzip_disable: {
    in: SETTINGS,
    args: [rest(browserKind)],
    many: true,
    doc: 'Nothing is compressed for a `User-Agent` that matches; `msie6`: the Internet Explorers 4 to 6.',
  },
  gzip_http_version: {
    in: SETTINGS,
    args: [oneOf('version', '1.0', '1.1')],
    default: '1.1',
    doc: 'Nothing is compressed for requests of an older version.',
  },
  gzip_min_length: {
    in: SETTINGS,
    args: [size('length')],
    default: '20',
    doc: 'An answer that is known to be shorter, in bytes, is not compressed.',
  },
  gzip_proxied: {
    in: SETTINGS,
    args: [
      someOf(
        'answers',
        'off',
        'expired',
        'no-cache',
        'no-store',
        'private',
        'no_last_modified',
        'no_etag',
        'auth',
        'any',
      ),
    ],
    default: 'off',
    doc: 'Which answers are compressed for requests with `Via`, which came through a proxy: by what the answer says of caching.',
  },
  gzip_types: {
    in: SETTINGS,
    args: [any(typeKind)],
    many: true,
    doc: 'Media types that are compressed besides `text/html`; `*`: all.',
  },
  gzip_vary: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether `Vary: Accept-Encoding` tells caches that an answer may come compressed or not.',
  },
});

type Set = SetOf<typeof table>;

export const gzip = nginxModule('http_gzip', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_gzip_module.html',
  directives: table,
  variables: { gzip_ratio: gzipRatio },
  location(set, draft) {
    draft.settings.compression = compressionSettings(set);
    if (!set.gzip) return;
    const settings = {
      level: set.gzip_comp_level,
      bufferSize: set.gzip_buffers.number * set.gzip_buffers.size,
      minLength: set.gzip_min_length,
      types: answerTypes(set.gzip_types, HTML, draft.workshop),
    };
    draft.headerFilters.push((exchange) => gzipAnswer(exchange, settings));
  },
});

function compressionSettings(set: Set): CompressionSettings {
  const tests = set.gzip_disable.flat();
  return {
    vary: set.gzip_vary,
    httpVersion: set.gzip_http_version === '1.0' ? 10 : 11,
    proxied: new Set(set.gzip_proxied),
    disabledFor: (browser) => tests.some((test) => test(browser)),
  };
}

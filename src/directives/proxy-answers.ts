// The directives of proxy_pass that say what becomes of an upstream's answer: which fields pass, and what is changed in them.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import { directives, type SetOf } from '../config/directive.ts';
import type { Template } from '../config/template.ts';
import { flag, someOf, text } from '../config/values.ts';
import type { AnswerChange } from '../serve/proxy-settings.ts';
import type { Level, LocationDraft, Workshop } from './draft.ts';
import {
  checkCookieChanges,
  cookieChanger,
  cookieDomainKind,
  cookieFlagsKind,
  cookiePathKind,
} from './proxy-cookies.ts';
import { checkRedirects, redirectChanger, redirectKind } from './proxy-redirect.ts';

const SETTINGS = ['http', 'server', 'location'] as const;

export const proxyAnswerDirectives = directives({
  proxy_redirect: {
    in: SETTINGS,
    args: [redirectKind],
    many: true,
    doc: 'What is changed in `Location` and `Refresh` of an answer: a beginning, or what a `~regex` fits, is replaced. By default what `proxy_pass` has put in place of the location is turned back.',
  },
  proxy_cookie_domain: {
    in: SETTINGS,
    args: [cookieDomainKind],
    many: true,
    doc: 'What is changed in the attribute `domain` of a cookie that the upstream sets: a whole domain (a dot before it says nothing), or what a `~regex` fits. The first one that fits counts; `off` takes back those of the levels above.',
  },
  proxy_cookie_flags: {
    in: SETTINGS,
    args: [cookieFlagsKind],
    many: true,
    doc: 'Which of `secure`, `httponly`, `samesite=strict|lax|none` is added to a cookie of that name, or of one that a `~regex` fits, and which of `nosecure`, `nohttponly`, `nosamesite` is taken away. The first one that fits counts; `off` takes back those of the levels above.',
  },
  proxy_cookie_path: {
    in: SETTINGS,
    args: [cookiePathKind],
    many: true,
    doc: 'What is changed in the attribute `path` of a cookie that the upstream sets: a beginning, or what a `~regex` fits. The first one that fits counts; `off` takes back those of the levels above.',
  },
  proxy_force_ranges: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether a client that asks for one range gets it out of an answer of 200 with a length, whatever the upstream says of ranges.',
  },
  proxy_ignore_headers: {
    in: SETTINGS,
    args: [
      someOf(
        'field',
        'X-Accel-Redirect',
        'X-Accel-Expires',
        'X-Accel-Limit-Rate',
        'X-Accel-Buffering',
        'X-Accel-Charset',
        'Expires',
        'Cache-Control',
        'Set-Cookie',
        'Vary',
      ),
    ],
    doc: 'Fields of an answer that say nothing to us: by `X-Accel-Redirect` an upstream sends on to another URI or `@location`, by `X-Accel-Buffering` it says whether the answer is buffered, by `X-Accel-Limit-Rate` how fast it goes to the client, by `X-Accel-Charset` in which charset.',
    differs: 'The other fields say nothing anyway: they concern the cache.',
  },
  proxy_hide_header: {
    in: SETTINGS,
    args: [text('field')],
    many: true,
    doc: 'A field of the answer that the client does not get, besides `Date`, `Server`, `X-Pad` and `X-Accel-…`.',
  },
  proxy_pass_header: {
    in: SETTINGS,
    args: [text('field')],
    many: true,
    doc: 'A field of those that the client gets all the same. With `Server` no answer of the upstream has ours.',
  },
  proxy_pass_trailers: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: "Whether the trailer fields of the upstream's answer are passed on.",
    since: '1.27.2',
  },
  proxy_intercept_errors: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether answers of 300 and above go through `error_page`.',
  },
});

type Set = SetOf<typeof proxyAnswerDirectives>;

const COOKIE_CHANGES = ['proxy_cookie_domain', 'proxy_cookie_path', 'proxy_cookie_flags'] as const;

/** What is wrong on a level whether or not anything is passed on there. */
export function checkProxyAnswers(set: Set, url: Template | undefined, workshop: Workshop, level: Level): void {
  workshop.problems.attempt(() => checkRedirects(set.proxy_redirect, url, level));
  for (const name of COOKIE_CHANGES) workshop.problems.attempt(() => checkCookieChanges(name, set[name], level));
}

/** What is changed in the answers of a location, `url` being its proxy_pass. */
export function answerChanges(set: Set, url: Template | undefined, draft: LocationDraft): readonly AnswerChange[] {
  const redirects = url === undefined ? undefined : redirectChanger(set.proxy_redirect, url, draft);
  const cookies = cookieChanger(set, draft.workshop);
  return [redirects, cookies].filter((change) => change !== undefined);
}

const HIDDEN = [
  'date',
  'server',
  'x-pad',
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-buffering',
  'x-accel-charset',
];

/** Lower-case names of the fields that the client does not get. */
export function headersToHide(set: Set): ReadonlySet<string> {
  const hidden = new Set(HIDDEN);
  for (const field of set.proxy_hide_header) hidden.add(field.toLowerCase());
  for (const field of set.proxy_pass_header) hidden.delete(field.toLowerCase());
  return hidden;
}

// secure_link: whether a link was made by who knows the secret, and for how long it is good.
// https://nginx.org/en/docs/http/ngx_http_secure_link_module.html

import { hash, timingSafeEqual } from 'node:crypto';
import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { template, text } from '../config/values.ts';
import type { Exchange, LocationSettings, Text } from '../exchange/exchange.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location'] as const;

/** What a location makes of an exchange. */
interface SecureLink {
  /** `$secure_link`: `1`, or `0` for a link whose time is over; with a secret alone the link itself. */
  readonly value: (exchange: Exchange) => string | undefined;
  readonly expires: (exchange: Exchange) => string | undefined;
}

const ofLocation = new WeakMap<LocationSettings, SecureLink>();

export const secureLink = nginxModule('http_secure_link', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_secure_link_module.html',
  directives: directives({
    secure_link: {
      in: EVERYWHERE,
      args: [template('expression')],
      doc: 'Where a request has the hash of its link, in base64url, and behind a comma when it expires, in seconds since 1970.',
    },
    secure_link_md5: {
      in: EVERYWHERE,
      args: [template('expression')],
      doc: 'What the MD5 hash must be of: the link, the client’s address, a secret.',
    },
    secure_link_secret: {
      in: ['location'],
      args: [text('word')],
      doc: 'For links of the form `/prefix/hash/link`, where the hash is that of link and secret, in hexadecimal: `$secure_link` is the link.',
    },
  }),
  variables: {
    secure_link: (exchange) => ofLocation.get(exchange.location)?.value(exchange),
    secure_link_expires: (exchange) => ofLocation.get(exchange.location)?.expires(exchange),
  },
  location(set, { settings, workshop }, level) {
    const { secure_link: link, secure_link_md5: md5, secure_link_secret: secret } = set;
    const ownSecret = level.has('secure_link_secret');
    if (ownSecret && (level.has('secure_link') || level.has('secure_link_md5')))
      throw new ConfigError(
        '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"',
        level.at('secure_link_secret'),
      );
    if (secret !== undefined && (ownSecret || (link === undefined && md5 === undefined)))
      ofLocation.set(settings, byPath(secret));
    else if (link !== undefined && md5 !== undefined)
      ofLocation.set(settings, byExpression(workshop.text(link), workshop.text(md5)));
  },
});

/** 16 bytes in base64url; nginx reads no further than 24 characters. */
const HASH = /^([\w-]{22})(?:=.?)?$/s;

function byExpression(link: Text, signed: Text): SecureLink {
  return {
    value: (exchange) => {
      const { said, expires } = parts(link(exchange));
      const [, encoded = ''] = HASH.exec(said) ?? [];
      if (encoded === '' || expires === '') return undefined;
      if (!isHashOf(Buffer.from(encoded, 'base64url'), signed(exchange))) return undefined;
      return expires !== undefined && Number(expires) < Math.floor(Date.now() / 1000) ? '0' : '1';
    },
    expires: (exchange) => parts(link(exchange)).expires || undefined,
  };
}

/** `expires` is '' where something stands in its place that is no time. */
function parts(value: string): { said: string; expires: string | undefined } {
  const comma = value.indexOf(',');
  if (comma < 0) return { said: value, expires: undefined };
  const expires = value.slice(comma + 1);
  return { said: value.slice(0, comma), expires: /^\d{1,15}$/.test(expires) && Number(expires) > 0 ? expires : '' };
}

const PATH = /^\/[^/]*\/([^/]*)\/(.+)$/s;

function byPath(secret: string): SecureLink {
  return {
    value: ({ head }) => {
      const [, said = '', link = ''] = PATH.exec(head.target) ?? [];
      return /^[0-9a-f]{32}$/i.test(said) && isHashOf(Buffer.from(said, 'hex'), link + secret) ? link : undefined;
    },
    expires: () => undefined,
  };
}

function isHashOf(said: Buffer, signed: string): boolean {
  return timingSafeEqual(said, hash('md5', Buffer.from(signed, 'latin1'), 'buffer'));
}

// The name and the password that a client sends in `Authorization: Basic …` (RFC 7617). Byte strings.

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/** undefined where the field is another one, or names nobody. */
export function basicCredentials(authorization: string | undefined): BasicCredentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, 'base64').toString('latin1');
  const colon = decoded.indexOf(':');
  return colon <= 0 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

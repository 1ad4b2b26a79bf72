// Comma-separated lists in header values: `Connection`, `Upgrade`, `Sec-WebSocket-Protocol`, `Sec-WebSocket-Extensions`.

/**
 * The members of a list (RFC 9110 section 5.6.1), trimmed, empty ones left out, in their own case.
 * @param value a header's value, lines of the same name joined by commas; undefined where there is none
 */
export function listMembers(value: string | undefined): string[] {
  if (value === undefined) return [];
  if (!value.includes('"')) return trimmed(value.split(','));
  return trimmed(splitOutsideQuotes(value));
}

/** Whether a list has this member, whatever its case. `token` is lower case. */
export function hasToken(value: string | undefined, token: string): boolean {
  return listMembers(value).some((member) => member.toLowerCase() === token);
}

/** The names in a list of extensions in lower case, without their parameters: `permessage-deflate; client_max_window_bits`. */
export function extensionNames(value: string | undefined): string[] {
  return listMembers(value).map(extensionName);
}

/** Of one member of such a list. */
export function extensionName(member: string): string {
  return (member.split(';', 1)[0] as string).trimEnd().toLowerCase();
}

function trimmed(members: readonly string[]): string[] {
  return members.map((member) => member.trim()).filter((member) => member !== '');
}

/** A comma inside a quoted parameter parts nothing (RFC 6455 section 9.1 allows quoted values). */
function splitOutsideQuotes(value: string): string[] {
  const members: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const character = value[i];
    if (character === '\\' && quoted) i++;
    else if (character === '"') quoted = !quoted;
    else if (character === ',' && !quoted) {
      members.push(value.slice(begin, i));
      begin = i + 1;
    }
  }
  members.push(value.slice(begin));
  return members;
}

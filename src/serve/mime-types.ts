// What type a file is, by the extension of its URI.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#types

/** What is in force where the configuration has no `types`. */
export const DEFAULT_TYPES: ReadonlyMap<string, string> = new Map([
  ['html', 'text/html'],
  ['gif', 'image/gif'],
  ['jpg', 'image/jpeg'],
]);

/**
 * The type of a URI, for `Content-Type`.
 * @param types by extension, in lower case
 * @returns '' where there is no type to be told (`default_type ""`)
 */
export function typeOf(uri: string, types: ReadonlyMap<string, string>, defaultType: string): string {
  const extension = extensionOf(uri);
  return extension === '' ? defaultType : (types.get(extension.toLowerCase()) ?? defaultType);
}

/** What follows the last dot of the last segment; '' where the dot is its first character (`/.profile`). */
function extensionOf(uri: string): string {
  const dot = uri.lastIndexOf('.');
  if (dot < 2 || dot < uri.lastIndexOf('/') || uri[dot - 1] === '/') return '';
  return uri.slice(dot + 1);
}

// What modules note down beside a draft, made where it is first asked for.

/** The note under this key, made and kept where there is none. */
export function noteOf<T>({ notes }: { readonly notes: Map<symbol, unknown> }, key: symbol, make: () => T): T {
  const known = (notes.get(key) as T | undefined) ?? make();
  notes.set(key, known);
  return known;
}

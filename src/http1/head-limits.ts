// What a client's request head may be: nginx's directives, as numbers and flags.

import type { FieldRules } from './field-lines.ts';
import { OTHER_TOKEN, PLAIN, UNDERSCORED } from './field-names.ts';

/** What a client's request head may be: nginx's directives of these names. */
export interface HeadLimits {
  /** `client_header_buffer_size`, in bytes. nginx's default: 1024. */
  readonly clientHeaderBufferSize: number;
  /** `large_client_header_buffers`: how many, and bytes of each: no line may be longer. nginx's default: 4 of 8192. */
  readonly largeClientHeaderBuffers: { readonly number: number; readonly size: number };
  /** `max_headers`: how many fields there may be. nginx's default, and ours: 1000. */
  readonly maxHeaders?: number;
  /** `ignore_invalid_headers`: drop fields whose names are more than letters, digits and hyphens. nginx's default: true. */
  readonly ignoreInvalidHeaders: boolean;
  /** `underscores_in_headers`: let underscores pass as well. nginx's default: false. */
  readonly underscoresInHeaders: boolean;
}

const DEFAULT_MAX_HEADERS = 1000;

export const DEFAULT_HEAD_LIMITS: HeadLimits = {
  clientHeaderBufferSize: 1024,
  largeClientHeaderBuffers: { number: 4, size: 8192 },
  ignoreInvalidHeaders: true,
  underscoresInHeaders: false,
};

/** Which field lines are taken. */
export function fieldRulesOf(limits: HeadLimits): FieldRules {
  const most = limits.maxHeaders ?? DEFAULT_MAX_HEADERS;
  if (!limits.ignoreInvalidHeaders) return { keptShape: OTHER_TOKEN, skipOthers: false, most, bareLf: true };
  return { keptShape: limits.underscoresInHeaders ? UNDERSCORED : PLAIN, skipOthers: true, most, bareLf: true };
}

/** The most that a head can have, whatever its lines. */
export function mostBytes(limits: HeadLimits): number {
  return limits.clientHeaderBufferSize + limits.largeClientHeaderBuffers.number * limits.largeClientHeaderBuffers.size;
}

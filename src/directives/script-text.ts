// A string with variables as the rewrite module needs it: with its captures apart, which it may escape.

import { byteString } from '../config/source.ts';
import type { Template, TemplatePart } from '../config/template.ts';
import type { ScriptText } from '../route/script.ts';
import type { Workshop } from './draft.ts';

/** @param whole what the parts are parts of */
export function scriptText(parts: readonly TemplatePart[], whole: Template, workshop: Workshop): ScriptText {
  return parts.map((part) => {
    if (typeof part === 'string') return byteString(part);
    if ('capture' in part) return part.capture;
    return workshop.text({ ...whole, parts: [part], constant: undefined });
  });
}

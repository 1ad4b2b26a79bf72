// The access log: conditions and escapes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { AccessLog, escapeDefault, escapeJson, escapeNone } from '../../src/diagnostics/access-log.ts';
import { LogFiles } from '../../src/diagnostics/log-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('"if=" leaves out entries for which it is empty or 0', (t) => {
  const path = join(temporaryFolder(t, {}), 'access.log');
  const files = new LogFiles();
  const log = new AccessLog<string>({
    file: files.file(path),
    format: (entry) => `<${entry}>`,
    condition: (entry) => entry,
  });
  files.open();
  for (const entry of ['', '0', '00', '1', 'off']) log.write(entry);
  assert.equal(readFileSync(path, 'latin1'), '<00>\n<1>\n<off>\n');
});

test('escape=default turns quotes, backslashes, control characters and high bytes into hex', () => {
  assert.equal(escapeDefault('plain /path?a=b'), 'plain /path?a=b');
  assert.equal(escapeDefault('"\\\n\x00\x7f\xff'), '\\x22\\x5C\\x0A\\x00\\x7F\\xFF');
});

test('escape=json makes what JSON.parse gives back', () => {
  assert.equal(escapeJson('\n\r\t\b\f"\\\x01\x1f/\x7f'), '\\n\\r\\t\\b\\f\\"\\\\\\u0001\\u001F/\x7f');
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  fc.assert(fc.property(bytes, (text) => JSON.parse(`"${escapeJson(text)}"`) === text));
  fc.assert(
    fc.property(bytes, (text) => /^[\x20-\x7e]*$/.test(escapeDefault(text)) && !escapeDefault(text).includes('"')),
  );
});

test('escape=none leaves everything as it is', () => {
  assert.equal(escapeNone('a"\n'), 'a"\n');
});

// -T: each file as it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BundleFiles } from '../../src/config/files.ts';
import { printConfiguration } from '../../src/config/print.ts';

test('files are printed byte for byte, each under its name, in the order in which they were read', () => {
  const reads = new Map([
    ['/etc/b', Buffer.from([0x23, 0xff, 0x0d, 0x0a])],
    ['/etc/a', Buffer.from('“x”; # no line end')],
  ]);
  const files = new BundleFiles({ reads, globs: new Map(), existing: new Map(), names: new Map() });
  const expected = '# configuration file /etc/a:\n“x”; # no line end\n# configuration file /etc/b:\n';
  const printed = printConfiguration(['/etc/a', '/etc/b'], files);
  assert.deepEqual(
    printed,
    Buffer.concat([Buffer.from(expected), Buffer.from([0x23, 0xff, 0x0d, 0x0a]), Buffer.from('\n')]),
  );
});

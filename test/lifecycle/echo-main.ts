// The command with the engine of the tests; see echo-engine.ts.

import { runCommand } from '../../src/cli/command.ts';

process.exit(await runCommand(process.argv.slice(2), new URL('./echo-engine.ts', import.meta.url).href));

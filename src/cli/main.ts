// Where `bin/sockgate` begins.

import { runCommand } from './command.ts';

/** This file's own ending: `.ts` from source, `.js` when built. */
const engineUrl = new URL(`../lifecycle/sockgate-engine${import.meta.url.slice(-3)}`, import.meta.url).href;

// What is still there (a thread that does not end, a timer) must not keep the process.
process.exit(await runCommand(process.argv.slice(2), engineUrl));

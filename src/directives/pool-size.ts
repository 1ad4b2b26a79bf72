// The size of nginx's memory pools: checked, for V8 has the memory.

import { ConfigError } from '../config/errors.ts';
import { mapped, size } from '../config/values.ts';

/** The smallest pool that holds what nginx puts at its beginning, and what it aligns to. */
const SMALLEST_POOL = 112;
const POOL_ALIGNMENT = 16;

export const poolSize = mapped(size('size'), (value) => {
  if (value < SMALLEST_POOL) throw new ConfigError(`the pool size must be no less than ${SMALLEST_POOL}`);
  if (value % POOL_ALIGNMENT !== 0) throw new ConfigError(`the pool size must be a multiple of ${POOL_ALIGNMENT}`);
  return value;
});

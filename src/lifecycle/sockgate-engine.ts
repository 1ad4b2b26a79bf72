// The engine that sockgate runs: our loader, our gateway.

import { enableLinearFallback } from '../config/pattern.ts';
import { Gateway } from '../gateway.ts';
import { loadSnapshot } from '../load-snapshot.ts';
import { selfTestHandles } from '../transport/choose.ts';
import type { Engine } from './engine.ts';

export const engine: Engine = {
  async prepare() {
    enableLinearFallback();
    await selfTestHandles();
  },
  load: loadSnapshot,
  createGateway: (context) => new Gateway(context),
};

// A rate of frames, as websocket_message_rate and websocket_control_rate have it: `50/s burst=100 close`.

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import type { WebSocketRate } from '../exchange/websocket-settings.ts';

const RATE = /^(\d+)\/([sm])$/;
const BURST = /^burst=(\d+)$/;

/** @param words what may be said of what comes too fast; the first is the default */
export function rateKind(words: readonly WebSocketRate['excess'][]): Kind<'rate', WebSocketRate | undefined> {
  const [usual = 'close'] = words;
  return {
    name: 'rate',
    syntax: `off | N/s [burst=N]${words.length > 1 ? ` [${words.join(' | ')}]` : ''}`,
    takes: 'rest',
    parse: (args, directive) => {
      const [rate, ...others] = args.map(({ text }) => text);
      if (rate === 'off' && others.length === 0) return undefined;
      const mend = `such as "${directive} 50/s burst=100${words.length > 1 ? ` ${words.at(-1)}` : ''};", or "off"`;
      const perSecond = readRate(rate ?? '');
      if (perSecond === undefined) throw new ConfigError(`invalid rate "${rate}"`, undefined, { mend });
      let burst = 0;
      let excess = usual;
      for (const word of others) {
        const known = words.find((candidate) => candidate === word);
        const more = BURST.exec(word)?.[1];
        if (known !== undefined) excess = known;
        else if (more !== undefined) burst = Number(more);
        else throw new ConfigError(`invalid parameter "${word}"`, undefined, { mend });
      }
      return { perSecond, burst, excess };
    },
  };
}

function readRate(text: string): number | undefined {
  const [, count, unit] = RATE.exec(text) ?? [];
  const perSecond = Number(count) / (unit === 'm' ? 60 : 1);
  return perSecond > 0 && perSecond <= 1_000_000 ? perSecond : undefined;
}

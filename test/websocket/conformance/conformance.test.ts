// RFC 6455 case by case, from either side, through a gateway.

import { type TestContext, test } from 'node:test';
import { closeCases } from './close-cases.ts';
import { ConformanceBench, type Sender } from './conformance-bench.ts';
import type { ConformanceCase } from './conformance-case.ts';
import { deflateCases } from './deflate-cases.ts';
import { fragmentCases } from './fragment-cases.ts';
import { frameCases } from './frame-cases.ts';
import { utf8Cases } from './utf8-cases.ts';

const GROUPS: Readonly<Record<string, readonly ConformanceCase[]>> = {
  frames: frameCases,
  fragments: fragmentCases,
  closes: closeCases,
  texts: utf8Cases,
  'permessage-deflate': deflateCases,
};

const SENDERS: readonly Sender[] = ['client', 'peer'];

type Judge = (bench: ConformanceBench, sent: ConformanceCase, from: Sender) => Promise<void>;

/** A test for each case and each side that can send it. */
async function judgeAll(t: TestContext, directives: string, judge: Judge): Promise<void> {
  const bench = await ConformanceBench.start(t, directives);
  for (const [group, cases] of Object.entries(GROUPS)) {
    await t.test(group, async (t) => {
      for (const sent of cases) {
        for (const from of SENDERS) {
          await t.test(`the ${from} sends ${sent.name} (${sent.rule})`, () => judge(bench, sent, from));
        }
      }
    });
  }
}

test('without validation everything passes byte for byte: it is for the two ends to judge', (t) =>
  judgeAll(t, '', async (bench, sent, from) => {
    await bench.passes(sent, from, 'at once');
    await bench.passes(sent, from, 'in pieces');
  }));

test('with websocket_validate what is right passes, and what is wrong ends both sides with the code for it', (t) =>
  judgeAll(t, 'websocket_validate on;', async (bench, sent, from) => {
    for (const cut of ['at once', 'in pieces'] as const) {
      if (sent.violation === undefined) await bench.passes(sent, from, cut, sent.passed);
      else await bench.refuses(sent, from, cut);
    }
  }));

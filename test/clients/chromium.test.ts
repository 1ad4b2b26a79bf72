// Chromium's WebSocket, plain and over TLS on either leg: what users have.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { type TestContext, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { ServerOptions } from 'ws';
import { selfSignedCertificate } from '../support/certificates.ts';
import { type FourWays, startFourWays, type Way } from './four-ways.ts';
import { talkInPage } from './talk-in-page.ts';
import { closesIfAsked, WsPeer } from './ws-peer.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed`;
/** Nothing of it goes anywhere but to the page. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const OPTIONS: ServerOptions = {
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
  verifyClient: ({ req }: { readonly req: IncomingMessage }) => req.url !== '/refused',
};

test('Chromium', { skip }, async (t) => {
  const wish = { options: OPTIONS, onText: closesIfAsked };
  const plain = await WsPeer.start(t, wish);
  const tls = await WsPeer.start(t, { ...wish, tls: await selfSignedCertificate() });
  const page = "location = /page { default_type text/html; return 200 '<!doctype html><title>page</title>'; }";
  const fourWays = await startFourWays(t, { plain: plain.port, tls: tls.port }, page);
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
  t.after(() => browser.close());
  for (const way of fourWays.ways) {
    const peer = way.isTlsToPeer ? tls : plain;
    await t.test(way.name, async (t) => {
      const opened = await openPage(t, browser, fourWays, way);
      await talks(opened, way, peer);
      await answersPings(opened, way, peer);
    });
  }
});

async function talks(page: Page, way: Way, peer: WsPeer): Promise<void> {
  const { extensions, ...seen } = await page.evaluate(talkInPage, way.url('/'));
  assert.match(extensions, /^permessage-deflate/);
  assert.deepEqual(seen, {
    protocol: 'chat.v2',
    text: 'grüße, 世界 🙂',
    megabyte: true,
    view: [0, 0, 0],
    blob: 'of a blob',
    inOrder: 200,
    closes: [
      [4001, 'as you asked', true],
      [3005, 'enough', true],
      [1005, '', true],
      [1006, '', false],
    ],
  });
  assert.equal(peer.request.headers.origin, new URL(page.url()).origin);
}

async function answersPings(page: Page, way: Way, peer: WsPeer): Promise<void> {
  const accepted = peer.accepted();
  await page.evaluate(`window.socket = new WebSocket(${JSON.stringify(way.url('/'))})`);
  const socket = await accepted;
  const pong = once(socket, 'pong');
  socket.ping('are you there?');
  assert.equal(String((await pong)[0]), 'are you there?');
  // A page that is left closes its WebSockets with 1001.
  const closed = once(socket, 'close');
  await page.goto('about:blank');
  assert.equal((await closed)[0], 1001);
}

async function openPage(t: TestContext, browser: Browser, { gateway }: FourWays, way: Way): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  t.after(() => context.close());
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  await page.goto(gateway.url(way.isTlsToGateway ? 'https' : 'http', '/page'));
  return page;
}

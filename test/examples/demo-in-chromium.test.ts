// The demo's page in a real browser: the round trip is shown over http and https, and the page tells what becomes of a connection.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type RunningDemo, startDemo } from './start-demo.ts';

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
const PATIENCE = 20_000;

test('the page in Chromium', { skip }, async (t) => {
  const demo = await startDemo(t);
  const browser = await startBrowser(t);
  await t.test('shows the round trip over http', () => showsRoundTrip(browser, `http://localhost:${demo.http}/`));
  await t.test('shows the round trip over https', () => showsRoundTrip(browser, `https://localhost:${demo.https}/`));
  await t.test('sends what is typed, and shows it as text', () => sends(browser, demo));
  await t.test('reconnects to the same peer, by a cookie that scripts cannot read', () => reconnects(browser, demo));
  await t.test('says that a peer leaves, and goes on with another one', () => loses(browser, demo));
  await t.test('says that the gateway ends', () => outlives(browser, demo));
});

async function showsRoundTrip(browser: Browser, url: string): Promise<void> {
  const page = await openPage(browser, url);
  assert.match(await textOf(page, '#trip'), /^\d+(\.\d)? ms$/);
  assert.match(await textOf(page, '#peer'), /^peer [123]$/);
  assert.equal(await textOf(page, '#state'), 'connected');
  assert.equal(await textOf(page, '#address'), `${url.replace('http', 'ws')}websocket/`);
  assert.equal(await page.isHidden('#trouble'), true);
  await page.context().close();
}

async function sends(browser: Browser, { http }: RunningDemo): Promise<void> {
  const page = await openPage(browser, `http://localhost:${http}/`);
  await page.fill('#text', '<b>bold</b> & “quoted”');
  await page.click('#send');
  await page.waitForSelector('#messages li:nth-child(2)');
  assert.equal(await textOf(page, '#messages li:first-child span:nth-child(2)'), '<b>bold</b> & “quoted”');
  assert.equal(await textOf(page, '#count'), '2');
  await page.context().close();
}

async function reconnects(browser: Browser, { https }: RunningDemo): Promise<void> {
  const page = await openPage(browser, `https://localhost:${https}/`);
  const peer = await textOf(page, '#peer');
  const [cookie] = await page.context().cookies();
  assert.equal(cookie?.name, 'route');
  assert.deepEqual([cookie?.httpOnly, cookie?.secure, cookie?.sameSite], [true, true, 'Lax']);
  await page.click('#reconnect');
  await page.waitForSelector('#connections li:nth-child(2)');
  assert.equal(await textOf(page, '#connections li:nth-child(2)'), peer);
  assert.equal(await textOf(page, '#sticky'), `2 connections in a row at ${peer}.`);
  await page.context().close();
}

async function loses(browser: Browser, { http }: RunningDemo): Promise<void> {
  const page = await openPage(browser, `http://localhost:${http}/`);
  const peer = await textOf(page, '#peer');
  await keepTroubles(page);
  await page.click('#leave');
  assert.equal(await firstTrouble(page), `The peer went away (1012, “${peer} leaves”). Trying again in 0.5 s.`);
  await page.waitForSelector('#connections li:nth-child(2)');
  assert.notEqual(await textOf(page, '#peer'), peer);
  assert.match(await textOf(page, '#sticky'), new RegExp(`^${peer} could not be reached, so peer [123] took over`));
  await page.context().close();
}

async function outlives(browser: Browser, { http, run }: RunningDemo): Promise<void> {
  const page = await openPage(browser, `http://localhost:${http}/`);
  await keepTroubles(page);
  run.process.kill('SIGINT');
  assert.match(
    await firstTrouble(page),
    /^The gateway is ending \(1012\): it asks everybody to connect anew\. Trying again/,
  );
  assert.deepEqual(await run.ended, { code: 0, signal: null });
  await page.waitForFunction('window.troubles.some((text) => text.startsWith("The WebSocket could not be"))');
  assert.equal(await textOf(page, '#state'), 'not connected');
  await page.context().close();
}

/** From now on the page keeps what it tells of its troubles: it shows that for half a second at times. */
async function keepTroubles(page: Page): Promise<void> {
  await page.evaluate(`
    window.troubles = [];
    const shown = document.getElementById("trouble");
    new MutationObserver(() => { if (!shown.hidden) window.troubles.push(shown.textContent); })
      .observe(shown, { childList: true, characterData: true, subtree: true, attributes: true });`);
}

async function firstTrouble(page: Page): Promise<string> {
  await page.waitForFunction('window.troubles.length > 0');
  return page.evaluate<string>('window.troubles[0]');
}

async function startBrowser(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
  t.after(() => browser.close());
  return browser;
}

/** A page with cookies of its own, when the first answer has come. A fault of its script fails what waits for it. */
async function openPage(browser: Browser, url: string): Promise<Page> {
  // The demo's certificate is signed by itself.
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(url);
  await page.waitForFunction('document.getElementById("trip").textContent.endsWith("ms")');
  assert.deepEqual(faults, []);
  return page;
}

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.textContent(selector)) ?? '';
}

/** The board's pages in a real Chromium, over a real Redis. */
import { FleetOrder } from '@cmt/contracts';
import { beginDrain } from '@cmt/fleet';
import { openHost, submitOrder } from '@cmt/queue';
import { plan } from '@cmt/saga';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { act, SECRET, showFleet, wellDone } from '../support/board-scenes.ts';
import { startBoardWorld, type BoardWorld, type RunningBoard } from '../support/board-world.ts';
import { openWindow, whyNoBrowser, type Window } from '../support/browser.ts';
import { promised } from '../support/queue-world.ts';
import { focused, lowContrasts, styleOf, timelineEdges, widths } from '../support/in-page.ts';

const why = await whyNoBrowser();
if (why !== null) process.stderr.write(`SKIPPED: the pages of the board: ${why}\n`);

/** Milliseconds until what was done in Redis must be seen: many times what it takes. */
const SEEN_MS = 30_000;

// Generous: the machine may be building and testing other things.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 180_000 });

let world: BoardWorld;
let board: RunningBoard;
let window: Window;
let page: Page;
const theEnd = promised();

describe.skipIf(why !== null)('the board', () => {
  beforeAll(async () => {
    world = await startBoardWorld();
    board = await world.board();
    await showFleet(world, theEnd.promise);
    window = await openWindow(board.url);
    page = window.page;
    page.setDefaultTimeout(SEEN_MS);
  });
  afterAll(async () => {
    theEnd.keep();
    await window.close();
    await world.close();
  });
  afterEach(() => {
    // The browser's own word about an answer that was not 200, where one was asked for on purpose.
    expect(window.complaints.filter((text) => !/status of 401/.test(text))).toEqual([]);
  });

  const open = async (path = '') => {
    await page.goto(new URL(path, board.url).href);
    await page.locator('main h1').waitFor();
  };
  const textOf = (selector: string) => page.locator(selector).first().innerText();
  const rows = (selector: string) => page.locator(selector).allInnerTexts();

  describe('signing in', () => {
    it('asks for the token, refuses another, and stays signed in', async () => {
      await page.goto(board.url);
      expect(new URL(page.url()).pathname).toBe('/login');
      await page.getByLabel('Token of the board').fill('not the token at all');
      await page.keyboard.press('Enter');
      expect(await textOf('[role=alert]')).toBe('That is not the token.');
      await page.getByLabel('Token of the board').fill(board.token);
      await page.keyboard.press('Enter');
      await page.locator('.migration').first().waitFor();
      expect(new URL(page.url()).pathname).toBe('/');
      expect(await page.context().cookies()).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
      await open('/migrations/m-web');
    });
  });

  describe('the fleet page', () => {
    it('shows each host with its state, memory and containers', async () => {
      await open();
      await page.locator('.host').nth(2).waitFor();
      expect(await rows('.host h3')).toEqual(['alpha', 'beta', 'gamma']);
      const alpha = page.getByRole('article', { name: 'alpha' });
      const text = await alpha.innerText();
      for (const part of ['online', '24.3 GB of 33.5 GB', '3 containers', 'web', 'zone=a', '1 arriving'])
        expect(text).toContain(part);
      expect(await alpha.getByRole('img').getAttribute('aria-label')).toBe(
        '24.3 GB of 33.5 GB of memory in use',
      );
    });

    it('says which host is drained, as long as it is, so that it can be read by day and night', async () => {
      const redis = world.queue.connection();
      const pills = page.getByRole('article', { name: 'gamma' }).locator('.pill');
      expect(await pills.allInnerTexts()).toEqual(['online']);
      const order = FleetOrder.parse({
        ...{ v: 1, kind: 'drain', id: 'd-gamma', host: 'gamma', parallel: 1, deadlineMs: null },
        requestedAt: Date.now(),
      });
      await submitOrder(redis, order, beginDrain(order, Date.now()), world.queue.keys);
      await expect.poll(() => pills.allInnerTexts(), { timeout: SEEN_MS }).toEqual(['drained', 'online']);
      expect(await textOf('.tile:has-text("Drained") dd')).toBe('1');
      const authorization = `Bearer ${board.token}`;
      const metrics = await fetch(new URL('/metrics', board.url), { headers: { authorization } });
      expect(await metrics.text()).toMatch(/^cmt_host_drained\{host="gamma"\} 1$/m);
      for (const colorScheme of ['dark', 'light'] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await page.evaluate(lowContrasts)).toEqual([]);
      }
      await openHost(redis, 'gamma');
      await expect.poll(() => pills.allInnerTexts(), { timeout: SEEN_MS }).toEqual(['online']);
    });

    it('names first what needs somebody', async () => {
      const notice = page.locator('.notice.bad');
      expect(await notice.innerText()).toMatch(/^search needs you: Nobody can say whether gamma runs search/);
      expect(await notice.locator('a').getAttribute('href')).toBe('/migrations/m-stuck');
    });

    it('shows each migration as a strip of its steps with the blackout marked', async () => {
      const strip = page.locator('li.migration', { hasText: 'web' }).getByRole('img');
      const label = (await strip.getAttribute('aria-label')) ?? '';
      expect(label).toMatch(/^inspect .*, sync-files .*, blackout 402 ms, confirm .*, clean /);
      expect(await strip.locator('.on-blackout').count()).toBe(1);
      expect(await textOf('li.migration:has-text("web") .sub')).toContain('stood still for 402 ms');
    });

    it('shows what begins, goes on and ends without being loaded again', async () => {
      await page.evaluate(() => ((globalThis as { stayed?: boolean }).stayed = true));
      const [first, second] = [promised(), promised()];
      await world.play({
        ...wellDone('m-live', 'live', 'beta', 'gamma'),
        acts: [
          act('inspect', 'beta', 0, { until: first.promise }),
          act('sync-files', 'beta', 0, { until: second.promise }),
          act('release', 'gamma', 20),
        ],
      });
      const card = page.locator('li.migration', {
        has: page.getByRole('link', { name: 'live', exact: true }),
      });
      await card.locator('strong', { hasText: 'inspect,' }).waitFor();
      first.keep();
      await card.locator('strong', { hasText: 'sync-files,' }).waitFor();
      const section = (title: string) => page.getByRole('region', { name: title });
      expect(await section('Under way').getByRole('link', { name: 'live', exact: true }).count()).toBe(1);
      second.keep();
      await section('Ended').getByRole('link', { name: 'live', exact: true }).waitFor();
      expect(await card.locator('.pill').innerText()).toBe('done');
      expect(await page.evaluate(() => (globalThis as { stayed?: boolean }).stayed)).toBe(true);
    });

    it('finds by host, container, label and state, and keeps what was typed', async () => {
      const find = page.getByLabel('Find');
      await find.fill('zone=b');
      await expect.poll(() => rows('.host h3')).toEqual(['gamma']);
      await find.fill('needs you');
      await expect.poll(() => rows('.migration .cover')).toEqual(['search']);
      expect(await find.inputValue()).toBe('needs you');
      await find.fill('');
    });
  });

  describe('a migration’s page', () => {
    it('has the rows of the plan against time, the blackout as a band through them', async () => {
      await open('/migrations/m-web');
      const names = await rows('.rows .row:not(.axis) .name > span:nth-child(2)');
      const steps = plan.filter(({ kind }) => kind === 'step').map(({ name }) => name);
      expect(names).toEqual(steps);
      const edges = await page.evaluate(timelineEdges);
      const of = (name: string) => {
        const found = edges[steps.findIndex((step) => step === name)];
        if (found === undefined) throw new Error(`there is no row ${name}`);
        return { bar: found.bar ?? { left: NaN, right: NaN }, band: found.band };
      };
      const order = ['inspect', 'validate', 'prepare', 'sync-files', 'freeze-and-dump', 'release', 'confirm'];
      const lefts = order.map((name) => of(name).bar.left);
      expect(lefts).toEqual([...lefts].sort((one, other) => one - other));
      expect(Math.abs(of('release').bar.right - of('release').band.right)).toBeLessThan(6);
      expect(of('confirm').bar.left).toBeGreaterThanOrEqual(of('confirm').band.right - 1);
      expect(of('sync-files').bar.left).toBeLessThan(of('sync-files').band.left);
      expect(of('pre-dump').bar.left).toBeNaN();
      expect(await textOf('.key')).toBe('The container stood still for 402 ms.');
      expect(await textOf('.row.skipped')).toContain('skipped');
    });

    it('looks closer at the blackout', async () => {
      const band = page.locator('.band').first();
      const width = async () => (await band.boundingBox())!.width;
      const before = await width();
      await page.getByRole('button', { name: 'The blackout' }).click();
      await expect.poll(width).toBeGreaterThan(before * 1.3);
      expect(await page.getByRole('button', { name: 'The blackout' }).getAttribute('aria-pressed')).toBe(
        'true',
      );
      expect(await textOf('section[aria-label="Where the blackout went"] .facts')).toMatch(/pause\s+58 ms/);
    });

    it('says why it failed, what to do, and shows the way back', async () => {
      await open('/migrations/m-frail');
      const notice = await textOf('section.notice.bad');
      expect(notice).toMatch(/RESTORE_FAILED CRIU could not restore db on beta: no such mount/);
      expect(notice).toContain('What to do: ');
      await page.getByText('End of the log').click();
      expect(await textOf('pre')).toContain('criu/mount.c:3421');
      const names = await rows('.row.undo .name > span:nth-child(2)');
      expect(names).toEqual(['discard', 'resume', 'clean', 'hook rolled-back']);
      expect(await textOf('.row.failed')).toContain('The restore failed.');
      expect(await textOf('.key')).toMatch(/^The container stood still for .* at most\.$/);
    });

    it('goes on by itself, down to the log', async () => {
      const step = promised();
      await world.play({
        ...wellDone('m-watched', 'watched'),
        acts: [act('inspect', 'alpha', 0, { until: step.promise }), act('release', 'beta', 10)],
      });
      await open('/migrations/m-watched');
      await page.locator('.row.now', { hasText: 'inspect' }).waitFor();
      const took = () => textOf('.tile dd');
      const before = await took();
      await expect.poll(took).not.toBe(before);
      step.keep();
      await page.getByRole('log').getByText('state: done').waitFor();
      await page.locator('.headline .pill', { hasText: 'done' }).waitFor();
    });

    it('says so when nobody knows it', async () => {
      await open('/migrations/m-nobody');
      await page.getByText('Nobody knows a migration of that name.').waitFor();
    });
  });

  it('shows nothing that a hook has printed, on no page', async () => {
    for (const path of [
      '/',
      '/migrations/m-frail',
      '/migrations/m-hook',
      '/queues/queue/cmt.migrations/migration_m-frail',
    ]) {
      await page.goto(new URL(path, board.url).href);
      await page
        .getByText(path === '/' ? 'Ended' : path.includes('queues') ? 'm-frail' : 'Told')
        .first()
        .waitFor();
      if (path === '/migrations/m-hook')
        await page.getByRole('log').getByText('state: rolled-back').waitFor();
      expect(await page.content()).not.toContain(SECRET);
    }
  });

  describe.each([320, 390])('on a screen of %i points', (width) => {
    it.each(['/', '/migrations/m-web', '/migrations/m-frail', '/migrations/m-now'])(
      '%s needs no sideways scrolling',
      async (path) => {
        await page.setViewportSize({ width, height: 800 });
        await open(path);
        await page
          .locator(path === '/' ? '.migration' : '.row')
          .first()
          .waitFor();
        const [inside, shown] = await page.evaluate(widths);
        expect(inside).toBe(shown);
        await page.setViewportSize({ width: 1280, height: 900 });
      },
    );
  });

  it('is used by keyboard alone', async () => {
    await open();
    await page.locator('.migration').first().waitFor();
    const tab = async () => {
      await page.keyboard.press('Tab');
      return await page.evaluate(focused);
    };
    expect(await tab()).toBe('Skip to the content');
    const reached: string[] = [];
    for (let at = 0; at < 40 && !reached.includes('web'); at += 1) reached.push(await tab());
    expect(reached.slice(0, 4)).toEqual(['cmt', 'Fleet', 'Queues', 'Sign out']);
    expect(reached).toEqual(
      expect.arrayContaining(['search needs you', 'find', 'Software and space', 'web']),
    );
    expect((await page.evaluate(styleOf, '.migration:focus-within')).outlineStyle).toBe('solid');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/migrations/m-web');
  });

  it('keeps the focus where it is while things change around it', async () => {
    await open();
    await page.getByRole('link', { name: 'web', exact: true }).focus();
    await world.play({ ...wellDone('m-beside', 'beside'), acts: [act('inspect', 'alpha', 30)] });
    await page
      .getByRole('region', { name: 'Ended' })
      .getByRole('link', { name: 'beside', exact: true })
      .waitFor();
    expect(await page.locator(':focus').innerText()).toBe('web');
  });

  describe.each(['light', 'dark'] as const)('by %s', (colorScheme) => {
    it.each(['/', '/migrations/m-web', '/migrations/m-frail'])('%s can be read', async (path) => {
      await page.emulateMedia({ colorScheme });
      await open(path);
      await page
        .locator(path === '/' ? '.migration' : '.row')
        .first()
        .waitFor();
      const { backgroundColor: ground } = await page.evaluate(styleOf, 'body');
      expect(ground).toBe(colorScheme === 'dark' ? 'rgb(16, 21, 27)' : 'rgb(244, 246, 248)');
      expect(await page.evaluate(lowContrasts)).toEqual([]);
    });
  });

  it('says when Redis is away, and goes on when it is back', async () => {
    await open();
    await page.locator('.live', { hasText: /^live$/ }).waitFor();
    await world.queue.redis.kill();
    await page.locator('.live', { hasText: 'Redis is away' }).waitFor();
    await page.getByText('Redis does not answer since').waitFor();
    expect((await fetch(new URL('/healthz', board.url))).status).toBe(503);
    await world.queue.redis.restart();
    await page.locator('.live', { hasText: /^live$/ }).waitFor();
    await page.getByText('Redis does not answer since').waitFor({ state: 'detached' });
  });
});

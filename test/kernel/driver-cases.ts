/** Rounds of pre-copy by the runc driver alone. */
import assert from 'node:assert/strict';
import type { Case } from './cases.ts';
import { PAGES, PreCopied } from './pre-copied.ts';

/** Pages that are written each second: few, and as many as the emulated processor can. */
const CALM = 64;
const WILD = 4000;

export const driverCases: readonly Case[] = [
  {
    name: 'without rounds the dump carries everything',
    run: async (site) => {
      site.calm = await PreCopied.start(site.machine, 'calm', CALM);
      const final = await site.calm.switch();
      assert.equal(final.pagesSkipped, 0);
      assert.ok(final.pagesWritten >= PAGES, `${final.pagesWritten} pages`);
      await site.calm.expectRight();
    },
  },
  {
    name: 'rounds build upon each other, and the last dump carries only what changed since',
    run: async ({ calm }) => {
      const [first, second] = [await calm.round(), await calm.round()];
      assert.equal(first.pagesSkipped, 0);
      assert.ok(first.pagesWritten >= PAGES, `${first.pagesWritten} pages`);
      await calm.expectRight();
      const final = await calm.freezeAndDump();
      const parents = await Promise.all(['1', '2', 'final'].map((name) => calm.parentOf(name)));
      assert.deepEqual(parents, [null, '../1', '../2']);
      for (const { pagesSkipped, pagesWritten } of [second, final]) {
        assert.ok(pagesSkipped > PAGES / 2, `${pagesSkipped} skipped`);
        assert.ok(pagesWritten < first.pagesWritten / 2, `${pagesWritten} of ${first.pagesWritten} written`);
      }
      // Nearly all of them: a program frees some of its pages.
      for (const [{ pagesLeft }, { pagesWritten }] of [
        [first, second],
        [second, final],
      ] as const) {
        assert.ok(pagesLeft > 0, 'nothing was seen to be written again');
        assert.ok(pagesWritten > 0.9 * pagesLeft, `${pagesLeft} pages seen, ${pagesWritten} written`);
      }
    },
  },
  {
    name: 'a source that was dumped in vain runs on, every page right',
    run: async ({ calm }) => {
      await calm.resume();
      await calm.expectRight();
    },
  },
  {
    name: 'a copy of one, two, three rounds has every page as it was',
    run: async ({ calm }) => {
      for (const rounds of [1, 2, 3, 2, 1]) {
        for (let n = 0; n < rounds; n += 1) await calm.round();
        const final = await calm.switch();
        assert.ok(final.pagesSkipped > PAGES / 2, `${final.pagesSkipped} skipped`);
        await calm.expectRight();
      }
    },
  },
  {
    name: 'of a container that rewrites its memory all the time, too',
    run: async (site) => {
      const wild = await PreCopied.start(site.machine, 'wild', WILD);
      site.wild = wild;
      const [first, second] = [await wild.round(), await wild.round()];
      assert.ok(second.pagesWritten > CALM && second.pagesWritten <= first.pagesWritten + PAGES);
      await wild.switch();
      await wild.expectRight();
    },
  },
  {
    name: 'a round that is stopped in its middle leaves it running, and the next begins anew',
    run: async ({ wild }) => {
      await wild.round();
      await assert.rejects(wild.stoppedRound(), { name: 'AbortError' });
      await wild.expectRight();
      await wild.forget();
      const first = await wild.round();
      assert.equal(first.pagesSkipped, 0);
      await wild.switch();
      await wild.expectRight();
    },
  },
  {
    name: 'what is destroyed is gone',
    run: async ({ calm, wild }) => {
      for (const container of [calm, wild]) await container.end();
    },
  },
];

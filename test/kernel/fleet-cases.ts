/**
 * `cmt migrate` in one piece: Redis, a coordinator, two hosts with a worker each. Emulated, on a machine that does other things too, that
 * takes longer than `npm test` has time for: `CMT_TEST_EVERY_MOVE=1` runs these cases too, on a machine that is left alone.
 */
import assert from 'node:assert/strict';
import type { PreCopy } from '@cmt/contracts';
import { brokenCases } from './broken-cases.ts';
import type { Case } from './cases.ts';
import { Moved, preCopyOf } from './moved.ts';
import { PAGES } from './pre-copied.ts';

/** Pages that are written each second: far fewer than the link carries. */
const RATE = 16;
/** No hand-over is that fast: rounds go on until no more are allowed, or they no longer help. */
const hopeless = (rounds: number): string[] => ['--max-downtime', '1ms', '--max-rounds', `${rounds}`];

/** Each round but the first, and the last dump, carry what the one before has not. */
function expectChained({ rounds: [first, ...later], final }: PreCopy): void {
  assert.ok(first !== undefined && final !== null, 'no round, or no last dump');
  assert.equal(first.pagesSkipped, 0);
  assert.ok(first.pagesWritten >= PAGES, `${first.pagesWritten} pages in the first round`);
  for (const { pagesSkipped, pagesWritten, bytesSent } of [...later, final]) {
    assert.ok(pagesSkipped > PAGES / 2, `${pagesSkipped} pages skipped`);
    assert.ok(pagesWritten < first.pagesWritten / 2, `${pagesWritten} of ${first.pagesWritten} pages`);
    assert.ok(bytesSent < first.bytesSent / 2, `${bytesSent} of ${first.bytesSent} bytes`);
  }
}

/** @param atMost rounds; after two it may be seen that they no longer help */
async function movesInRounds(moved: Moved, atMost: number): Promise<void> {
  const migration = await moved.move(['--mode', 'pre-copy', ...hopeless(atMost)]);
  const { rounds, roundsNote } = migration;
  assert.ok(rounds >= Math.min(2, atMost) && rounds <= atMost, `${rounds} of ${atMost} rounds`);
  assert.match(roundsNote ?? '', /(--max-rounds|no longer help).*predicted blackout/);
  expectChained(preCopyOf(migration));
}

/** Whether they are run, outside as inside the machine. */
export const EVERY_MOVE = process.env['CMT_TEST_EVERY_MOVE'] === '1';

export const fleetCases: readonly Case[] = EVERY_MOVE
  ? [
      {
        name: 'a lab with Redis, a coordinator and two workers comes up',
        run: async (site) => {
          site.moved = await Moved.start(RATE);
          await site.moved.expectRight();
        },
      },
      {
        name: 'cmt migrate --mode pre-copy: rounds build upon each other, and the last dump carries what changed since',
        run: ({ moved }) => movesInRounds(moved, 2),
      },
      {
        name: 'cmt migrate --mode hybrid: what a round has left follows the container',
        run: async ({ moved }) => {
          const migration = await moved.move(['--mode', 'hybrid', ...hopeless(1)]);
          assert.equal(migration.rounds, 1);
          assert.match(migration.roundsNote ?? '', /--max-rounds.*post-copy/);
          const { rounds, final } = preCopyOf(migration);
          assert.ok((rounds[0]?.pagesWritten ?? 0) >= PAGES);
          assert.ok((final?.bytesSent ?? Infinity) < (rounds[0]?.bytesSent ?? 0) / 2);
        },
      },
      {
        name: 'five moves with rounds, there and back',
        run: async ({ moved }) => {
          for (const rounds of [1, 2, 3, 2, 1]) await movesInRounds(moved, rounds);
        },
      },
      ...brokenCases,
      {
        name: 'of all that nothing is left on either host',
        run: ({ moved }) => moved.expectOnlyMoved(),
      },
    ]
  : [];

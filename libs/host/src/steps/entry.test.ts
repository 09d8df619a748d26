import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Phase } from '../journal.ts';
import { mayFollow } from './entry.ts';

const ENDS: readonly Phase[] = ['RETIRED', 'RESUMED', 'RUNNING', 'DISCARDED'];
const at = (epoch: number, phase: Phase) => ({ epoch, phase });

test.each<[Phase, Phase, boolean]>([
  ['SENDING', 'FROZEN', true],
  ['FROZEN', 'RETIRED', true],
  ['FROZEN', 'RESUMED', true],
  ['PREPARED', 'HELD', true],
  ['HELD', 'COMMITTED', true],
  ['HELD', 'DISCARDED', true],
  ['COMMITTED', 'RUNNING', true],
  ['PREPARED', 'COMMITTED', false],
  ['HELD', 'RUNNING', false],
  ['COMMITTED', 'DISCARDED', false],
  ['RESUMED', 'FROZEN', false],
  ['RETIRED', 'RESUMED', false],
  ['SENDING', 'RETIRED', false],
])('%s then %s in one epoch: %o', (from, to, allowed) => {
  expect(mayFollow(at(1, from), at(1, to))).toBe(allowed);
});

test.each<[Phase, boolean]>([
  ['RESUMED', true],
  ['DISCARDED', true],
  ['PREPARED', true],
  ['FROZEN', false],
  ['HELD', false],
  ['COMMITTED', false],
  ['RUNNING', false],
])('a newer epoch may begin after %s: %o', (from, allowed) => {
  expect(mayFollow(at(1, from), at(2, 'PREPARED'))).toBe(allowed);
  expect(mayFollow(at(1, from), at(2, 'SENDING'))).toBe(allowed);
});

test('whatever is asked, the epoch never falls, an end is never left in its epoch, and only COMMITTED leads to RUNNING', () => {
  const phase = fc.constantFrom(...Phase.options);
  const epoch = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(fc.array(fc.tuple(epoch, phase)), (asked) => {
      let current: { epoch: number; phase: Phase } | null = null;
      for (const [nextEpoch, nextPhase] of asked) {
        const next = at(nextEpoch, nextPhase);
        if (!mayFollow(current, next)) continue;
        const before: { epoch: number; phase: Phase } | null = current;
        if (before !== null) {
          expect(next.epoch).toBeGreaterThanOrEqual(before.epoch);
          if (before.epoch === next.epoch && ENDS.includes(before.phase))
            expect(next.phase).toBe(before.phase);
        }
        if (next.phase === 'RUNNING') expect(['COMMITTED', 'RUNNING']).toContain(before?.phase);
        current = next;
      }
    }),
  );
});

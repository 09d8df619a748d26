import { expect, it } from 'vitest';
import { evolve } from './evolve.ts';
import { timeLimit } from './limits.ts';
import { play, request } from '../test/world.ts';

/** Of ten megabytes of files. */
function limitOf(options: Record<string, unknown>, share?: number): number {
  const stage = play(request(options)).sagas.find((each) => each.stage === 'sync-files')!;
  const tuned = evolve(stage, { kind: 'tune', tuning: share === undefined ? {} : { share }, at: 1 });
  return timeLimit('sync-files', tuned);
}

it.each([
  ['at 10 MB/s where nothing was said', {}, undefined, 1000],
  ['at 10 MB/s where it may take more', { bandwidth: 100_000_000 }, undefined, 1000],
  ['at a quarter of what it may take', { bandwidth: 1_000_000 }, undefined, 40_000],
  ['at a quarter of its share, where that is less', { bandwidth: 1_000_000 }, 100_000, 400_000],
] as const)('a step has the time that its bytes need %s', (_, options, share, ms) => {
  expect(limitOf(options, share)).toBe(120_000 + ms);
});

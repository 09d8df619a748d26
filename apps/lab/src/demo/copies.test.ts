import { describe, expect, test } from 'vitest';
import { Copies, type CopyState } from './copies.ts';

const seen = (...samples: readonly [CopyState, CopyState][]): Copies => {
  const copies = new Copies();
  samples.forEach(([host1, host2], n) => copies.sample(n * 2, { host1, host2 }));
  return copies;
};

describe('copies', () => {
  test('of a clean move: never two, never none', () => {
    const { copies } = seen(
      ['running', 'absent'],
      ['frozen', 'absent'],
      ['held', 'absent'],
      ['frozen', 'held'],
      ['frozen', 'running'],
      ['absent', 'running'],
    ).report();
    expect(copies).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
  });

  test('that run at the same time are two', () => {
    expect(seen(['running', 'absent'], ['running', 'running']).report().copies.maxRunningAtOnce).toBe(2);
  });

  test('that are all gone are none', () => {
    expect(
      seen(['running', 'absent'], ['absent', 'absent'], ['absent', 'running']).report().copies.minRunnable,
    ).toBe(0);
  });

  test('that were not there yet are not missing', () => {
    expect(seen(['absent', 'absent'], ['running', 'absent']).report().copies.minRunnable).toBe(1);
  });

  test('have intervals by host and state', () => {
    const { intervals } = seen(['running', 'absent'], ['running', 'absent'], ['frozen', 'absent']).report();
    expect(intervals).toEqual([
      { host: 'host1', state: 'running', from: 0, to: 2 },
      { host: 'host2', state: 'absent', from: 0, to: 4 },
      { host: 'host1', state: 'frozen', from: 4, to: 4 },
    ]);
  });

  test('are blind between samples, and say for how long', () => {
    const copies = seen(['running', 'absent']);
    copies.sample(90, { host1: 'running', host2: 'absent' });
    expect(copies.report()).toMatchObject({ samples: 2, longestBlindMs: 90 });
  });
});

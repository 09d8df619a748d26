import { describe, expect, test } from 'vitest';
import { Count } from './count.ts';

const counted = (...answers: readonly [at: number, line: string][]): Count => {
  const count = new Count(0);
  count.connected(0);
  for (const [at, line] of answers) count.answered(at, line);
  return count;
};

describe('a count', () => {
  test('that goes up by one is right, wherever it begins', () => {
    const report = counted([1, ':41'], [2, ':42'], [3, ':43']).report(4);
    expect(report).toMatchObject({ operations: 3, wrongValues: 0, value: 43, connectionsLost: 0 });
  });

  test.each([
    ['lost', ':3', 1],
    ['repeated', ':1', 1],
    ['not a number', '-ERR gone', 1],
  ])('with a value that is %s is wrong', (_, second, wrong) => {
    expect(counted([1, ':1'], [2, second]).report(3).wrongValues).toBe(wrong);
  });

  test('goes on from a wrong value', () => {
    expect(counted([1, ':1'], [2, ':5'], [3, ':6']).report(3).wrongValues).toBe(1);
  });

  test('knows its longest gap, the one that lasts included', () => {
    const count = counted([1, ':1'], [101, ':2'], [102, ':3']);
    expect(count.report(103).longestGapMs).toBe(100);
    expect(count.report(502).longestGapMs).toBe(400);
  });

  test('keeps when a gap began', () => {
    const [gap] = counted([10, ':1'], [110, ':2']).report(111).gaps;
    expect(gap).toEqual({ at: performance.timeOrigin + 10, ms: 100 });
  });

  test('counts a lost connection once, with its first reason', () => {
    const count = counted([1, ':1']);
    count.lost('ECONNRESET');
    count.lost('closed by the server');
    expect(count.report(2)).toMatchObject({ connectionsLost: 1, lostBecause: 'ECONNRESET' });
  });
});

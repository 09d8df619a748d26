import type { DumpFigures } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { converge, predictBlackout, roundsPossible } from './converge.ts';
import { facts, request } from '../test/world.ts';

/** Rounds that wrote so many pages, over a link of 100 MB/s. */
const rounds = (...pages: number[]): DumpFigures[] =>
  pages.map((pagesWritten) => ({
    freezingMs: 1,
    frozenMs: 20,
    pagesWritten,
    pagesSkipped: 0,
    bytesSent: pagesWritten * 4096,
    sendMs: (pagesWritten * 4096) / 100_000,
  }));
const budget = (maxDowntimeMs: number, maxRounds = 8) => request({ maxDowntimeMs, maxRounds }).options;

describe('the converge rule', () => {
  const table: [title: string, pages: number[], downtime: number, again: boolean, note: RegExp][] = [
    ['begins with a round', [], 300, true, /^$/],
    ['stops when the prediction fits the budget', [250_000, 1000], 300, false, /fits the budget/],
    ['stops after one round when nothing is dirty', [1], 300, false, /fits the budget/],
    ['never judges growth on the first round', [250_000], 300, true, /^$/],
    ['goes on while rounds help', [250_000, 100_000, 50_000], 300, true, /^$/],
    ['stops when the dirty rate exceeds the link', [250_000, 250_000], 300, false, /no longer help/],
    ['stops when a round gains less than 4 %', [100_000, 97_000], 300, false, /no longer help/],
    ['goes on when a round gains more than 4 %', [100_000, 95_000], 300, true, /^$/],
    [
      'compares with the best round, not with the last',
      [100_000, 50_000, 60_000],
      300,
      false,
      /no longer help/,
    ],
  ];
  it.each(table)('%s', (_, pages, downtime, again, note) => {
    const verdict = converge(rounds(...pages), budget(downtime));
    expect(verdict.again).toBe(again);
    expect(verdict.again ? '' : verdict.note).toMatch(note);
  });

  it('stops at the last round that is allowed', () => {
    expect(converge(rounds(9e6, 8e6), budget(1, 2))).toMatchObject({ again: false });
    expect(converge([], budget(1, 0))).toMatchObject({ again: false });
  });

  it('counts freeze, wire and restore in its prediction', () => {
    // 100,000 pages: 4096 ms over the wire, 1170 ms to restore, 21 ms frozen.
    expect(predictBlackout(rounds(100_000))).toBeCloseTo(4096 + 1170.3 + 21, 0);
  });

  it('says why there are no rounds', () => {
    expect(roundsPossible(request().options, facts('alpha', false))).toMatchObject({
      note: expect.stringContaining('alpha') as string,
    });
    expect(roundsPossible(request({ mode: 'stop-and-copy' }).options, facts('alpha', true))).toMatchObject({
      again: false,
    });
    expect(roundsPossible(request().options, facts('alpha', true))).toEqual({ again: true });
  });
});

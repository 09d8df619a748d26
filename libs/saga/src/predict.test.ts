import { describe, expect, it } from 'vitest';
import { costOf, fitted } from './fitted.ts';
import { predictBlackout, type Measured } from './predict.ts';
import { roundFigures } from '../test/world.ts';

const assumed = { fixedMs: 100, rate: 100 };

describe('a line through costs', () => {
  it('is what is assumed before anything was measured', () => expect(fitted([], assumed)).toEqual(assumed));

  it('takes the rate from what is assumed where one size was measured', () => {
    expect(fitted([{ bytes: 1000, ms: 60 }], assumed)).toEqual({ fixedMs: 50, rate: 100 });
  });

  it('is steeper than assumed where the whole took less time', () => {
    expect(fitted([{ bytes: 1000, ms: 5 }], assumed)).toEqual({ fixedMs: 0, rate: 200 });
  });

  it('tells what is fixed from what grows', () => {
    const line = fitted(
      [1000, 50_000, 3000].map((bytes) => ({ bytes, ms: 40 + bytes / 50 })),
      assumed,
    );
    expect([line.fixedMs, line.rate].map(Math.round)).toEqual([40, 50]);
  });

  it('takes for a rate only what explains most of the difference', () => {
    const noisy = [1000, 1100, 3000, 3100].map((bytes, n) => ({ bytes, ms: [40, 400, 60, 420][n] ?? 0 }));
    expect(fitted(noisy, assumed).rate).toBe(assumed.rate);
    expect(fitted(noisy, assumed).fixedMs).toBeGreaterThan(200);
  });

  it('follows the newest most', () => {
    const costs = [100, 100, 10, 10, 10].map((rate) => ({ bytes: 1000, ms: 1000 / rate }));
    expect(costOf(fitted(costs, { fixedMs: 0, rate: 1e9 }), 1000)).toBeGreaterThan(80);
  });
});

describe('a predicted blackout', () => {
  const known: Measured = {
    ...{ rounds: [], memory: 100e6, postCopy: false, lazyRestore: false, sharedFiles: false },
    sourceCosts: { dump: [{ bytes: 1e6, ms: 60 }], files: [{ bytes: 0, ms: 30 }] },
    targetCosts: { restore: [{ bytes: 100e6, ms: 400 }] },
  };
  const round = (pages: number, at: number, more: object = {}) => ({ ...roundFigures(pages, at), ...more });

  it('without rounds is of everything, by what earlier moves have cost', () => {
    expect(predictBlackout(known)).toMatchObject({ remaining: 100e6, filesMs: 30, restoreMs: 400 });
    expect(predictBlackout(known).dumpMs).toBeCloseTo(50 + 1000, 0);
  });

  it('has of a restore that fills memory behind the container only what is fixed, unless there were rounds', () => {
    const lazily = { ...known, lazyRestore: true };
    expect(predictBlackout(lazily).restoreMs).toBeLessThan(120);
    const rounds = [round(24_000, 1000)];
    expect(predictBlackout({ ...lazily, rounds }).restoreMs).toBe(
      predictBlackout({ ...known, rounds }).restoreMs,
    );
  });

  it('has no files where they are shared', () => {
    expect(predictBlackout({ ...known, sharedFiles: true }).filesMs).toBe(0);
  });

  it('expects of the last look at the files what the look before cost, less the dump that it goes on beside', () => {
    const rounds = [round(10_000, 1000), round(1000, 2000, { filesMs: 800 })];
    const { dumpMs, filesMs } = predictBlackout({ ...known, rounds });
    expect(dumpMs + filesMs).toBeCloseTo(800);
  });

  it('counts less memory where it gets less time to be dirtied than before the last round', () => {
    // 10,000 pages in 120 ms, then 1000 of them again: dirtied in 200 ms, and the next dump follows after 30 + 80 ms.
    const rounds = [round(10_000, 1000), round(1000, 1200)];
    expect(predictBlackout({ ...known, rounds }).remaining).toBeCloseTo((1000 * 4096 * 110) / 200, 0);
  });

  it('after a single round counts what was seen to be written again meanwhile', () => {
    const rounds = [round(24_000, 1000, { dirtyBytes: 3e6 })];
    expect(predictBlackout({ ...known, rounds }).remaining).toBe(3e6);
  });

  it('adds what is written until the next dump, as long as that took after the round before', () => {
    // 120 ms, then 80 until the next, which takes 30: in those 80 it gets 8/3 of what it got in these 30.
    const rounds = [round(10_000, 1000), round(1000, 1200, { dirtyBytes: 3e6 })];
    expect(predictBlackout({ ...known, rounds }).remaining).toBeCloseTo(11e6, 0);
    const wild = [round(24_000, 1000), round(24_000, 9000, { dirtyBytes: 60e6 })];
    expect(predictBlackout({ ...known, memory: 90e6, rounds: wild }).remaining).toBe(24_000 * 4096);
  });

  it('adds what is written until the container is frozen, as long as that took before', () => {
    const sourceCosts = { ...known.sourceCosts, readying: [{ bytes: 0, ms: 130 }] };
    // 260 ms: in half as much again half as much is written again.
    const rounds = [round(24_000, 1000, { dirtyBytes: 3e6 })];
    expect(predictBlackout({ ...known, sourceCosts, rounds }).remaining).toBeCloseTo(4.5e6, 0);
  });

  it('takes what a dump costs beside its bytes from earlier ones, at the rate of the rounds', () => {
    // 4e6 and 8e6 bytes at 100,000 a millisecond, which differ for another reason.
    const dump = [
      { bytes: 4e6, ms: 1900 },
      { bytes: 8e6, ms: 4900 },
    ];
    const sourceCosts = { ...known.sourceCosts, dump };
    const rounds = [round(10_000, 1000), round(500, 2000)];
    const { dumpMs } = predictBlackout({ ...known, sourceCosts, rounds });
    expect(dumpMs).toBeGreaterThan(1900);
    expect(dumpMs).toBeLessThan(4900);
  });

  it('goes by the bytes sent where CRIU’s figures could not be read', () => {
    const rounds = [round(0, 1000, { bytesSent: 90e6 }), round(0, 2000, { bytesSent: 50e6, ms: 5000 })];
    expect(predictBlackout({ ...known, rounds }).remaining).toBe(50e6);
  });

  it('is the same whether images were packed on their way or not: rates are those of images', () => {
    const of = (packed: (bytes: number) => object) =>
      predictBlackout({
        ...known,
        rounds: [round(10_000, 1000, packed(41e6)), round(0, 2000, packed(9e6)), round(0, 3000, packed(5e6))],
      });
    const plain = of((bytes) => ({ bytesSent: bytes }));
    expect(of((bytes) => ({ bytesSent: bytes / 9, imageBytes: bytes }))).toEqual(plain);
    expect(of((bytes) => ({ bytesSent: bytes / 9 }))).not.toEqual(plain);
  });

  it('of post-copy has neither the dump nor the restore of what follows', () => {
    const following = predictBlackout({ ...known, postCopy: true });
    expect(following.remaining).toBe(0);
    expect(following.dumpMs + following.restoreMs).toBeLessThan(200);
    // What rounds have brought is restored before it runs.
    const rounds = [round(24_000, 1000), round(1000, 2000, { pagesSkipped: 23_000 })];
    const after = predictBlackout({ ...known, postCopy: true, rounds });
    expect(after.remaining).toBe(0);
    expect(after.restoreMs).toBeGreaterThan(300);
    expect(after.restoreMs).toBeLessThan(predictBlackout({ ...known, rounds }).restoreMs);
  });

  it('of post-copy after one round has a restore of what was not seen to be written again', () => {
    const following = (seen: object) =>
      predictBlackout({ ...known, postCopy: true, rounds: [round(24_000, 1000, seen)] });
    const unseen = following({});
    expect(unseen.remaining).toBe(0);
    expect(unseen.restoreMs).toBe(predictBlackout({ ...known, rounds: [round(24_000, 1000)] }).restoreMs);
    expect(following({ dirtyBytes: 50e6 }).restoreMs).toBeLessThan(unseen.restoreMs / 1.5);
  });

  it('restores all pages, whatever round they came in', () => {
    const rounds = [round(50_000, 1000), round(10, 2000, { pagesSkipped: 49_990 })];
    const grown = predictBlackout({ ...known, memory: 1e6, rounds });
    expect(grown.restoreMs).toBeGreaterThan(400);
  });
});

import type { HostCosts, MigrationOptions, RoundFigures } from '@cmt/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { converge, convergeWithoutRounds, roundsImpossible, type Verdict } from './converge.ts';
import { predictBlackout, type Measured } from './predict.ts';
import { facts, request } from '../test/world.ts';

const PAGE = 4096;
/** Bytes per millisecond of the link. */
const LINK = 100_000;
const MEMORY = 250_000 * PAGE;

interface Given {
  readonly frozenMs?: number;
  readonly memory?: number;
  readonly costs?: Partial<HostCosts>;
}

/** Rounds that wrote so many pages over the link, each begun as soon as the one before had ended. */
function measured(
  pages: readonly number[],
  { frozenMs = 20, memory = MEMORY, costs = {} }: Given = {},
): Measured {
  let startedAt = 1000;
  const rounds = pages.map((pagesWritten, n): RoundFigures => {
    const ms = 50 + (pagesWritten * PAGE) / LINK;
    // As if the container had had as long for it as this round takes: what is left is what was written.
    startedAt += n === 0 ? 0 : ms;
    return {
      ...{ freezingMs: 1, frozenMs, pagesWritten, pagesSkipped: Math.max(0, memory / PAGE - pagesWritten) },
      ...{ bytesSent: pagesWritten * PAGE, sendMs: ms, startedAt, ms, filesMs: null },
    };
  });
  const { dump = [], files = [], restore = [] } = costs;
  return {
    ...{ rounds, memory, postCopy: false, lazyRestore: false, sharedFiles: true },
    ...{ sourceCosts: { dump, files }, targetCosts: { restore } },
  };
}

const options = (more: Partial<MigrationOptions> = {}): MigrationOptions =>
  request({ maxDowntimeMs: 300, maxRounds: 8, ...more }).options;

/** A restore that costs 10 ms whatever its size, so that tables speak of rounds alone. */
const quickRestore = { restore: [1, 2, 3].map((n) => ({ bytes: n * 1e12, ms: 10 })) };
const verdictOn = (
  pages: readonly number[],
  more: Partial<MigrationOptions> = {},
  given: Given = {},
): Verdict => converge(measured(pages, { costs: quickRestore, ...given }), options(more));

/** `round`, or why not. */
const said = (verdict: Verdict): string => {
  if (verdict.next === 'round') return 'round';
  return verdict.next === 'abort' ? String(verdict.failure.details['why']) : verdict.note;
};

describe('the converge rule', () => {
  it.each<[title: string, pages: number[], says: RegExp]>([
    ['begins with a round', [], /^round$/],
    ['stops when the prediction fits the budget', [250_000, 1000], /fits the budget of 300 ms/],
    ['never judges growth on the first round', [250_000], /^round$/],
    ['goes on while rounds help', [250_000, 100_000, 50_000], /^round$/],
    ['stops when the dirty rate exceeds the link', [250_000, 250_000], /no longer help/],
    ['stops when a round gains less than 4 %', [250_000, 243_000], /no longer help/],
    ['goes on when a round gains more than 4 %', [250_000, 235_000], /^round$/],
    ['waits for the next low after a high', [150_000, 50_000, 60_000], /^round$/],
    ['switches at that low', [150_000, 50_000, 60_000, 51_000], /no longer help/],
    ['waits for it for two rounds', [150_000, 50_000, 60_000, 61_000], /no longer help/],
    ['goes on when that low is a new best one', [150_000, 50_000, 60_000, 40_000], /^round$/],
  ])('%s', (_, pages, says) => expect(said(verdictOn(pages))).toMatch(says));

  it('runs no round where everything fits the budget at once, by what was measured before', () => {
    const costs = { dump: [{ bytes: 1e6, ms: 60 }], restore: [{ bytes: 1e6, ms: 60 }] };
    expect(said(verdictOn([], {}, { memory: 10e6, costs }))).toMatch(/fits the budget/);
    expect(said(verdictOn([], {}, { memory: 100e6, costs }))).toBe('round');
  });

  it('switches after a single round that has left little, as was seen', () => {
    const afterOne = (dirtyBytes: number): Verdict => {
      const { rounds, ...rest } = measured([250_000], { costs: quickRestore });
      return converge({ ...rest, rounds: rounds.map((round) => ({ ...round, dirtyBytes })) }, options());
    };
    expect(said(afterOne(2e6))).toMatch(/fits the budget/);
    expect(said(afterOne(500e6))).toBe('round');
  });

  it('begins no round beyond --max-rounds', () => {
    expect(said(verdictOn([250_000, 150_000], { maxRounds: 2 }))).toMatch(/2 rounds \(--max-rounds\)/);
    expect(said(verdictOn([], { maxRounds: 0 }))).toMatch(/--max-rounds/);
  });

  it('begins no round that would end after --timeout', () => {
    expect(said(verdictOn([250_000, 100_000], { timeoutMs: 30_000 }))).toBe('round');
    expect(said(verdictOn([250_000, 100_000], { timeoutMs: 8000 }))).toMatch(/--timeout/);
  });

  it('freezes the container in rounds for no longer than a move without them would', () => {
    const of = (frozenMs: number) =>
      said(verdictOn([20_000, 15_000], { maxDowntimeMs: 100 }, { frozenMs, memory: 20_000 * PAGE }));
    expect(of(100)).toBe('round');
    expect(of(400)).toMatch(/freeze it for longer/);
  });

  it('leaves the target room for the last dump', () => {
    const pages = [250_000, 230_000, 210_000];
    expect(said(verdictOn(pages, { maxDowntimeMs: 1 }))).toMatch(/no room for another round/);
  });
});

describe('without convergence', () => {
  const stuck = [250_000, 250_000];

  it('switches all the same by default, and says what it expects', () => {
    expect(verdictOn(stuck)).toMatchObject({
      next: 'switch',
      note: expect.stringMatching(/predicted blackout \d+ ms/) as string,
    });
  });

  it('goes on with post-copy when that is asked for, whose blackout has no part of what is left', () => {
    const verdict = verdictOn(stuck, { onNoConvergence: 'post-copy' });
    expect(verdict).toMatchObject({
      next: 'post-copy',
      note: expect.stringMatching(/^rounds no longer help: post-copy, predicted blackout \d+ ms$/) as string,
      predicted: { remaining: 0 },
    });
    const switched = verdictOn(stuck);
    if (!('predicted' in verdict && 'predicted' in switched)) throw new Error('nothing was predicted');
    expect(verdict.predicted.totalMs).toBeLessThan(switched.predicted.totalMs / 10);
  });

  it('gives up when that is asked for', () => {
    expect(verdictOn(stuck, { onNoConvergence: 'abort' })).toMatchObject({
      next: 'abort',
      failure: { code: 'NO_CONVERGENCE', details: { budget: 300, why: 'rounds no longer help' } },
    });
  });

  it('asks for no policy when the budget fits', () => {
    expect(verdictOn([250_000, 1000], { onNoConvergence: 'abort' }).next).toBe('switch');
  });
});

describe('hybrid', () => {
  const costs = { dump: [{ bytes: 1e6, ms: 60 }], ...quickRestore };
  it.each<[title: string, pages: number[], more: Partial<MigrationOptions>, next: string, says: RegExp]>([
    ['has none where none may be had', [], { maxRounds: 0 }, 'post-copy', /--max-rounds\): post-copy/],
    [
      'lets what is left follow, however little',
      [250_000, 10],
      {},
      'post-copy',
      /is left follows: post-copy/,
    ],
    ['goes on while rounds help', [250_000, 100_000], {}, 'round', /^round$/],
    ['lets the rest follow when they do not', [250_000, 250_000], {}, 'post-copy', /longer help: post-copy/],
    [
      'gives up instead when that is asked for',
      [250_000, 250_000],
      { onNoConvergence: 'abort' },
      'abort',
      /help/,
    ],
  ])('%s', (_, pages, more, next, says) => {
    const verdict = verdictOn(pages, { mode: 'hybrid', ...more }, { costs });
    expect([verdict.next, said(verdict)]).toEqual([next, expect.stringMatching(says)]);
  });

  it('has a round even where everything fits the budget at once', () => {
    const given = { memory: 1e6, costs };
    expect(verdictOn([], {}, given).next).toBe('switch');
    expect(verdictOn([], { mode: 'hybrid' }, given).next).toBe('round');
  });
});

describe('where there can be no rounds', () => {
  const large: Measured = measured([], { costs: quickRestore });
  const small: Measured = { ...large, memory: 1e6 };
  it.each<[more: Partial<MigrationOptions>, of: Measured, next: string]>([
    [{ mode: 'auto' }, large, 'switch'],
    [{ mode: 'auto', onNoConvergence: 'post-copy' }, large, 'post-copy'],
    [{ mode: 'auto', onNoConvergence: 'post-copy' }, small, 'switch'],
    [{ mode: 'stop-and-copy', onNoConvergence: 'post-copy' }, large, 'switch'],
    [{ mode: 'post-copy' }, small, 'post-copy'],
  ])('%o', (more, of, next) => {
    expect(convergeWithoutRounds('no rounds', of, options(more)).next).toBe(next);
  });
});

/** Plays rounds of a container that writes so many pages, one number a round, until the rule stops. */
function roundsOf(pages: readonly number[], more: Partial<MigrationOptions> = {}, given: Given = {}): number {
  for (let n = 0; n < pages.length; n += 1)
    if (verdictOn(pages.slice(0, n), more, given).next !== 'round') return n;
  return pages.length;
}

/** What was published of other tools' rules, or read in their source: what they do well, and what they do not. */
describe('as other tools do, or not', () => {
  const halving = Array.from({ length: 12 }, (_, n) => Math.round(250_000 / 2 ** n));

  it('p.haul stops when a round grew by more than 10 %; here a passing high does not end it', () => {
    expect(roundsOf([250_000, 100_000, 120_000, 50_000, 20_000, 9000, 4000, 1900])).toBeGreaterThan(4);
  });

  it('p.haul allows nine rounds and means eight; here --max-rounds is what it says', () => {
    expect(roundsOf(halving, { maxDowntimeMs: 1, maxRounds: 5 })).toBe(5);
  });

  it('go-criu takes the whole first round for growth and always stops there; here it goes on', () => {
    for (const first of [64, 1000, 250_000])
      expect(said(verdictOn([first], { maxDowntimeMs: 1 }, { memory: first * PAGE, frozenMs: 1 }))).toBe(
        'round',
      );
  });

  it('Incus counts every round twice, six for ten; here each counts once', () => {
    expect(roundsOf(halving, { maxDowntimeMs: 1, maxRounds: 10 })).toBe(10);
  });

  it('Incus is content with 70 % of pages skipped, however long the rest takes; here the budget is in milliseconds', () => {
    const memory = 10_000_000 * PAGE;
    expect(said(verdictOn([10_000_000, 1_000_000], {}, { memory }))).toBe('round');
  });

  it('p.haul, go-criu and Incus forget shared memory; here its pages are in the sum that rounds report', () => {
    const onlyShared = measured([250_000, 100_000], { costs: quickRestore });
    expect(predictBlackout(onlyShared).remaining).toBeGreaterThan(99_000 * PAGE);
  });

  it('QEMU never gives up: a guest that dirties faster than the link is sent for ever; here it is not', () => {
    expect(
      roundsOf(
        Array.from({ length: 32 }, () => 250_000),
        { maxRounds: 32 },
      ),
    ).toBe(2);
  });

  it('QEMU looks at bytes over bandwidth alone; here freeze and restore are part of the blackout', () => {
    const costs = { dump: [{ bytes: 1, ms: 200 }], restore: [{ bytes: 1, ms: 200 }] };
    const { totalMs } = predictBlackout(measured([250_000, 1], { costs, memory: 1 }));
    expect(totalMs).toBeGreaterThan(390);
  });

  it('Proxmox doubles the allowed downtime until the guest fits, up to 2000 s; here the budget stays, and the policy decides', () => {
    expect(verdictOn([250_000, 250_000], { onNoConvergence: 'abort' }).next).toBe('abort');
  });

  it('KubeVirt’s older rule is deceived by a remainder that goes up and down; here each wave must be 4 % lower', () => {
    const waves = Array.from({ length: 32 }, (_, n) => (n === 0 ? 250_000 : n % 2 ? 100_000 - n : 130_000));
    expect(roundsOf(waves, { maxRounds: 32 })).toBe(4);
  });

  it('KubeVirt’s stall detector switches at a low, within 4 % of the best; so does this', () => {
    expect(said(verdictOn([250_000, 100_000, 130_000, 103_000]))).toMatch(/no longer help/);
  });
});

describe('the converge rule, whatever the container writes', () => {
  const anyPages = fc.array(fc.integer({ min: 0, max: 250_000 }), { minLength: 33, maxLength: 33 });
  const given = fc.record({ frozenMs: fc.integer({ min: 0, max: 500 }) });
  const budget = fc.integer({ min: 1, max: 5000 });

  it('ends within --max-rounds', () => {
    fc.assert(
      fc.property(
        anyPages,
        given,
        budget,
        fc.integer({ min: 0, max: 32 }),
        (pages, how, maxDowntimeMs, maxRounds) => {
          expect(roundsOf(pages, { maxDowntimeMs, maxRounds }, how)).toBeLessThanOrEqual(maxRounds);
        },
      ),
    );
  });

  it('runs no third round in a row that brings nothing', () => {
    fc.assert(
      fc.property(anyPages, given, (pages, how) => {
        const n = roundsOf(pages, { maxDowntimeMs: 1, maxRounds: 32 }, how);
        const totals = totalsOf(pages.slice(0, n), how);
        totals.slice(3).forEach((_, at) => {
          const best = Math.min(...totals.slice(0, at + 1));
          expect(Math.min(...totals.slice(at + 1, at + 4))).toBeLessThanOrEqual(best);
        });
      }),
    );
  });

  it('switches of itself at most 4 % above its best, unless it has waited two rounds in vain for as good a one', () => {
    fc.assert(
      fc.property(anyPages, given, (pages, how) => {
        const n = roundsOf(pages, { maxDowntimeMs: 1, maxRounds: 32 }, how);
        if (
          !said(verdictOn(pages.slice(0, n), { maxDowntimeMs: 1, maxRounds: 32 }, how)).includes('no longer')
        )
          return;
        const totals = totalsOf(pages.slice(0, n), how);
        const best = Math.min(...totals);
        const waited = totals.length - 1 - totals.indexOf(best);
        expect((totals.at(-1) ?? Infinity) <= best * 1.04 || waited >= 2).toBe(true);
      }),
    );
  });

  it('freezes it in rounds no longer than without them', () => {
    fc.assert(
      fc.property(anyPages, given, (pages, how) => {
        const n = roundsOf(pages, { maxDowntimeMs: 1, maxRounds: 32 }, how);
        const before = totalsOf(pages.slice(0, 1), how)[0] ?? Infinity;
        if (n > 1) expect(n * (how.frozenMs + 1)).toBeLessThanOrEqual(before);
      }),
    );
  });

  it('never expects less of a larger remainder', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 250_000 }),
        fc.integer({ min: 1, max: 250_000 }),
        (less, more) => {
          const [a, b] = [Math.min(less, more), Math.max(less, more)];
          const of = (last: number) =>
            predictBlackout(measured([250_000, last], { costs: quickRestore })).totalMs;
          expect(of(a)).toBeLessThanOrEqual(of(b) + 1e-6);
        },
      ),
    );
  });

  const totalsOf = (pages: readonly number[], how: Given): number[] =>
    pages.map(
      (_, n) => predictBlackout(measured(pages.slice(0, n + 1), { costs: quickRestore, ...how })).totalMs,
    );
});

describe('no rounds', () => {
  it('says why', () => {
    expect(roundsImpossible(request().options, facts('alpha', false))).toContain('alpha');
    expect(roundsImpossible(request({ mode: 'stop-and-copy' }).options, facts('alpha', true))).toContain(
      'stop-and-copy',
    );
    expect(roundsImpossible(request().options, facts('alpha', true))).toBeNull();
  });
});

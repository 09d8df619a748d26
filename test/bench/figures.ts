/** What many moves come to: medians, tails, and ratios of medians. Pure. */
import type { Load } from './container.ts';
import type { Measured } from './site.ts';

export interface Spread {
  readonly median: number | null;
  readonly p99: number | null;
  readonly all: readonly (number | null)[];
}

export interface ModeFigures {
  readonly runs: number;
  readonly lost: readonly string[];
  /** Null stands for infinite: something was lost. */
  readonly blackoutMs: Spread;
  readonly gapMs: Spread;
  /** The client's gap less the container's own blackout, of the same move. */
  readonly gapOverBlackoutMs: Spread;
  readonly ownMs: Spread | null;
  readonly criuMs: Spread | null;
  readonly drainMs: Spread | null;
  /** What went over the wire over the bytes of the images, in both directions of counting: medians. */
  readonly wireBytes: number | null;
  readonly imageBytes: number | null;
}

export interface Point extends Load {
  readonly idleMs: number;
  readonly modes: Readonly<Record<string, ModeFigures>>;
  /** Of medians of blackouts; null when one of the two has none. */
  readonly ratios: Readonly<Record<string, number | null>>;
}

/** The p-quantile of numbers, null for none and for infinity. */
export function quantile(numbers: readonly number[], p: number): number | null {
  const sorted = [...numbers].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - (p === 0 ? 0 : 1))];
  return found === undefined || !Number.isFinite(found) ? null : rounded(found);
}

export const spreadOf = (numbers: readonly number[]): Spread => ({
  median: quantile(numbers, 0.5),
  p99: quantile(numbers, 0.99),
  all: numbers.map((number) => (Number.isFinite(number) ? rounded(number) : null)),
});

export function figuresOf(moves: readonly Measured[]): ModeFigures {
  const known = (pick: (move: Measured) => number | null): number[] =>
    moves.map(pick).filter((number) => number !== null);
  const optional = (numbers: readonly number[]): Spread | null =>
    numbers.length === 0 ? null : spreadOf(numbers);
  const good = moves.filter(({ lost }) => lost === null);
  return {
    runs: moves.length,
    lost: moves.map(({ lost }) => lost).filter((lost) => lost !== null),
    blackoutMs: spreadOf(moves.map(({ blackoutMs }) => blackoutMs)),
    gapMs: spreadOf(moves.map(({ gapMs }) => gapMs)),
    gapOverBlackoutMs: spreadOf(good.map(({ gapMs, blackoutMs }) => gapMs - blackoutMs)),
    ownMs: optional(known(({ ownMs }) => ownMs)),
    criuMs: optional(known(({ criuMs }) => criuMs)),
    drainMs: optional(known(({ drainMs }) => drainMs)),
    wireBytes: quantile(
      known(({ wireBytes }) => wireBytes),
      0.5,
    ),
    imageBytes: quantile(
      known(({ imageBytes }) => imageBytes),
      0.5,
    ),
  };
}

/** Every way of cmt against every other way, and against what CRIU itself took in this very run. */
export function ratiosOf(modes: Readonly<Record<string, ModeFigures>>): Record<string, number | null> {
  const [ours, others] = [true, false].map((own) =>
    Object.keys(modes).filter((name) => name.startsWith('cmt') === own),
  ) as [string[], string[]];
  const criu = modes['CRIU alone']?.criuMs?.median ?? null;
  return Object.fromEntries(
    ours.flatMap((our) => {
      const own = modes[our]?.blackoutMs.median ?? null;
      return [
        [`${our} / CRIU’s own time`, over(own, criu)],
        ...others.map(
          (other) => [`${our} / ${other}`, over(own, modes[other]?.blackoutMs.median ?? null)] as const,
        ),
      ];
    }),
  );
}

const over = (one: number | null, other: number | null): number | null =>
  one === null || other === null || other === 0 ? null : Math.round((100 * one) / other) / 100;
const rounded = (number: number): number => Math.round(number * 10) / 10;

/**
 * When pre-copy stops, and what then. Pure; the rule is told in docs/lifecycle.md, the rules it was learned from are cases of its test.
 *
 * INVARIANTS
 * - No round is judged by itself alone: what the first one writes is everything, and says nothing about how fast memory changes.
 * - It ends: a round either improves the best prediction by 4 %, or is one of the `PATIENCE` that are waited for the next low.
 * - A switch that nothing forces comes at most 4 % above the best prediction, or after that low did not come.
 * - All rounds together freeze the container for no longer than moving it without rounds would have.
 */
import {
  hasRounds,
  imageBytesOf,
  type Failure,
  type HostFacts,
  type MigrationOptions,
  type Prediction,
} from '@cmt/contracts';
import { predictBlackout, type Measured } from './predict.ts';

/** A round that improves the best prediction by less than this share does not help. */
const IMPROVEMENT = 0.04;
/** Rounds that are run after the best one to come near it again. */
const PATIENCE = 2;
/** The target keeps all rounds beside each other, in four times the container's memory (steps/prepare.ts): one is for the last dump. */
const ROOM_FOR_ROUNDS = 3;

export type Verdict =
  | { readonly next: 'round' }
  | { readonly next: 'switch' | 'post-copy'; readonly note: string; readonly predicted: Prediction }
  | { readonly next: 'abort'; readonly failure: Failure; readonly predicted: Prediction };

/** Whether to run another round of pre-copy after these, and what to do otherwise. Judged is a switch that carries all that is left. */
export function converge(measured: Measured, options: MigrationOptions): Verdict {
  const predictions = predictionsOf(measured);
  const predicted = predictions.at(-1) ?? predictBlackout(measured);
  // Who asks for rounds and then post-copy gets a round, and what it leaves follows, however little that is.
  const isHybrid = options.mode === 'hybrid';
  if (predicted.totalMs <= options.maxDowntimeMs && !(isHybrid && measured.rounds.length === 0)) {
    const note = `${expected(predicted)} fits the budget of ${options.maxDowntimeMs} ms`;
    return isHybrid ? following('what is left follows', measured) : { next: 'switch', note, predicted };
  }
  const why = mustStop(measured, options) ?? noHelp(predictions);
  return why === null ? { next: 'round' } : withoutConvergence(why, predicted, measured, options);
}

/** What becomes of a migration whose rounds are over, with or without any, and whose blackout would exceed its budget. */
function withoutConvergence(
  why: string,
  predicted: Prediction,
  measured: Measured,
  { mode, onNoConvergence, maxDowntimeMs }: MigrationOptions,
): Verdict {
  if (onNoConvergence === 'abort')
    return { next: 'abort', failure: noConvergence(why, predicted, maxDowntimeMs), predicted };
  if (mode === 'hybrid' || onNoConvergence === 'post-copy') return following(why, measured);
  return { next: 'switch', note: `${why}: ${expected(predicted)}`, predicted };
}

function following(why: string, measured: Measured): Verdict {
  const predicted = predictBlackout({ ...measured, postCopy: true });
  return { next: 'post-copy', note: `${why}: post-copy, ${expected(predicted)}`, predicted };
}

const expected = ({ totalMs }: Prediction): string => `predicted blackout ${totalMs.toFixed(0)} ms`;

/** How a migration goes on that can have no rounds, for this reason. */
export function convergeWithoutRounds(why: string, measured: Measured, options: MigrationOptions): Verdict {
  const predicted = predictBlackout(measured);
  const mayFollow = hasRounds(options) && options.onNoConvergence === 'post-copy';
  if (mayFollow && predicted.totalMs > options.maxDowntimeMs) return following(why, measured);
  return { next: options.mode === 'post-copy' ? 'post-copy' : 'switch', note: why, predicted };
}

/** Whether rounds can be run at all, and what to say when they cannot. */
export function roundsImpossible(options: MigrationOptions, source: HostFacts): string | null {
  if (!hasRounds(options)) return `no pre-dump rounds: --mode ${options.mode}`;
  if (source.features.dirtyTracking) return null;
  return `no pre-dump rounds: the kernel of ${source.name} does not track dirty pages`;
}

/** As it stood before any round, and after each. */
const predictionsOf = (measured: Measured): Prediction[] =>
  [0, ...measured.rounds.map((_, n) => n + 1)].map((n) =>
    predictBlackout({ ...measured, rounds: measured.rounds.slice(0, n) }),
  );

/** What allows no further round, however much it would help. */
function mustStop(measured: Measured, options: MigrationOptions): string | null {
  const { rounds, memory } = measured;
  if (rounds.length >= options.maxRounds) return `stopped after ${rounds.length} rounds (--max-rounds)`;
  const [first, last] = [rounds[0], rounds.at(-1)];
  if (first === undefined || last === undefined) return null;
  if (last.startedAt + 2 * last.ms - first.startedAt > (options.timeoutMs ?? Infinity))
    return 'another round would take longer than --timeout';
  const standing = rounds.map(({ freezingMs, frozenMs }) => freezingMs + frozenMs);
  const withAnother = sum(standing) + (standing.at(-1) ?? 0);
  // At the rate of the first round, and as if it had brought nothing.
  const without = predictBlackout({ ...measured, rounds: [{ ...first, dirtyBytes: null }] });
  if (withAnother > without.totalMs)
    return `another round would freeze it for longer than the rounds save (${sum(standing).toFixed(0)} ms so far)`;
  const there = sum(rounds.map(imageBytesOf));
  return rounds.length > 1 && there + imageBytesOf(last) > ROOM_FOR_ROUNDS * memory
    ? 'the target has no room for another round'
    : null;
}

/** Why it is of no use to go on, or null: since the best prediction no better one came, and this one is as low as they get. */
function noHelp([, ...afterEach]: readonly Prediction[]): string | null {
  const totals = afterEach.map(({ totalMs }) => totalMs);
  const last = totals.at(-1);
  if (last === undefined || totals.length < 2) return null;
  const best = Math.min(...totals.slice(0, -1));
  if (last < best * (1 - IMPROVEMENT)) return null;
  const since = totals.length - 1 - totals.indexOf(best);
  return last <= best * (1 + IMPROVEMENT) || since >= PATIENCE ? 'rounds no longer help' : null;
}

const noConvergence = (why: string, { totalMs }: Prediction, budget: number): Failure => ({
  code: 'NO_CONVERGENCE',
  details: { why, predicted: Math.round(totalMs), budget },
});

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

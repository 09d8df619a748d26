/**
 * When pre-copy stops: as soon as the predicted blackout fits the budget, or rounds no longer help.
 * Pure, from measured figures only; the rule and its limits are explained in docs/lifecycle.md.
 */
import type { DumpFigures, HostFacts, MigrationOptions } from '@cmt/contracts';

const PAGE = 4096;
/** Weight of the newest transfer rate in the smoothed one. */
const SMOOTHING = 0.4;
/** A round that improves the best by less than this share does not help. */
const IMPROVEMENT = 0.04;
/** Restore rate assumed until one was measured, bytes per millisecond (measured: 0.35 GB/s). */
const RESTORE_RATE = 350_000;

export type Verdict = { readonly again: true } | { readonly again: false; readonly note: string };

/** Whether to run another pre-dump round after these. */
export function converge(rounds: readonly DumpFigures[], options: MigrationOptions): Verdict {
  if (rounds.length >= options.maxRounds) return stop(`stopped after ${rounds.length} rounds (--max-rounds)`);
  const last = rounds.at(-1);
  if (last === undefined) return { again: true };
  const predicted = predictBlackout(rounds);
  if (predicted <= options.maxDowntimeMs)
    return stop(
      `predicted blackout ${predicted.toFixed(0)} ms fits the budget of ${options.maxDowntimeMs} ms`,
    );
  if (rounds.length > 1 && !improves(rounds))
    return stop(`rounds no longer help: ${predicted.toFixed(0)} ms predicted`);
  return { again: true };
}

/** Milliseconds of blackout if the switch came now: freeze, what is still dirty over the wire, and its restore. */
export function predictBlackout(rounds: readonly DumpFigures[]): number {
  const last = rounds.at(-1);
  if (last === undefined) return Infinity;
  const remaining = last.pagesWritten * PAGE;
  return last.freezingMs + last.frozenMs + remaining / smoothedRate(rounds) + remaining / RESTORE_RATE;
}

/** Whether the kernel of the source can do rounds at all, and what to say when it cannot. */
export function roundsPossible(options: MigrationOptions, source: HostFacts): Verdict {
  if (options.mode === 'stop-and-copy') return stop('no pre-dump rounds: --mode stop-and-copy');
  if (!source.features.dirtyTracking)
    return stop(`no pre-dump rounds: the kernel of ${source.name} does not track dirty pages`);
  return { again: true };
}

function improves(rounds: readonly DumpFigures[]): boolean {
  const last = rounds.at(-1)?.pagesWritten ?? 0;
  const best = Math.min(...rounds.slice(0, -1).map((round) => round.pagesWritten));
  return last < best * (1 - IMPROVEMENT);
}

/** Bytes per millisecond over all rounds, the newest counting most. */
function smoothedRate(rounds: readonly DumpFigures[]): number {
  const rates = rounds.filter((r) => r.sendMs > 0 && r.bytesSent > 0).map((r) => r.bytesSent / r.sendMs);
  const first = rates[0];
  if (first === undefined) return Infinity;
  return rates.reduce((smooth, rate) => SMOOTHING * rate + (1 - SMOOTHING) * smooth, first);
}

const stop = (note: string): Verdict => ({ again: false, note });

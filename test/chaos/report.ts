/** What a run of the matrix says: one JSON object, and for each failing cell what was expected and seen. Pure. */
import type { Cell } from './cells.ts';
import type { Seen, Verdict } from './verdict.ts';

export interface Outcome {
  readonly cell: Cell;
  readonly seen: Seen;
  readonly verdict: Verdict;
  readonly ms: number;
}

export interface ChaosReport {
  readonly cells: number;
  readonly passed: number;
  readonly failed: number;
  /** Cells in which two copies ran at once, in which for a moment none could have, in which something was left. */
  readonly overlaps: number;
  readonly lost: number;
  readonly leftovers: number;
  readonly byState: Readonly<Record<string, number>>;
  /**
   * Milliseconds from the end of the fault (the victim runs again, the link is joined, Redis answers) to the next event of
   * the migration. Cells whose migration had ended by then do not count. p50 and p100; null when none counts.
   */
  readonly recoveryMs: { readonly p50: number | null; readonly p100: number | null };
}

export const passed = ({ verdict }: Outcome): boolean => verdict.complaints.length === 0;

export function summary(outcomes: readonly Outcome[]): ChaosReport {
  const byState: Record<string, number> = {};
  for (const { verdict } of outcomes) {
    const end = verdict.end ?? 'did not end';
    byState[end] = (byState[end] ?? 0) + 1;
  }
  const count = (is: (outcome: Outcome) => boolean): number => outcomes.filter(is).length;
  const recoveries = outcomes
    .map(({ verdict }) => verdict.recoveryMs)
    .filter((ms) => ms !== null)
    .sort((a, b) => a - b);
  return {
    cells: outcomes.length,
    passed: count(passed),
    failed: count((outcome) => !passed(outcome)),
    overlaps: count(({ verdict }) => verdict.overlap),
    lost: count(({ verdict }) => verdict.lost),
    leftovers: count(({ seen }) => seen.leftovers.length > 0),
    byState,
    recoveryMs: {
      p50: recoveries[Math.floor((recoveries.length - 1) / 2)] ?? null,
      p100: recoveries.at(-1) ?? null,
    },
  };
}

/** A failing cell: what is wrong, when which copy did what, and how to run it alone. */
export function failureText({ cell, seen, verdict }: Outcome): string {
  const zero = seen.struckAt ?? seen.endedAt;
  const when = (at: number): string => `${Math.round(at - zero)} ms`;
  const intervals = seen.intervals.map(
    ({ host, state, from, to }) => `    ${host} ${state}: ${when(from)} to ${when(to)}`,
  );
  const events = seen.events
    .filter(({ kind }) => kind !== 'progress')
    .map(
      ({ at, host, kind, step, text }) =>
        `    ${when(at)} ${host} ${kind} ${step ?? ''} ${text.slice(0, 300)}`,
    );
  return [
    `FAILED ${cell.name} (${seen.source} to ${seen.target}): ${verdict.end ?? 'did not end'}`,
    ...verdict.complaints.map((complaint) => `  ${complaint}`),
    '  copies, from the moment of the fault:',
    ...intervals,
    '  events:',
    ...events,
    `  alone: npm run chaos -- --cells ${cell.name}`,
    '',
  ].join('\n');
}

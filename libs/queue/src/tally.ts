/**
 * Counters of what migrations came to, kept in Redis for `/metrics`: whoever reads them, however many boards and
 * coordinators there are and however often they start, reads the same.
 *
 * INVARIANTS
 * - An end is counted in the very step that stores it (store.ts): neither lost nor counted twice.
 * - Duration, steps, bytes and blackout are counted once in a migration's life, ends as often as it ends
 *   (`needs-operator`, and later `done`).
 * - All amounts are whole numbers: milliseconds and bytes. They only grow.
 */
import { isEnd, keys, type MigrationReport } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { reaching } from './connection.ts';

/** Upper bounds in milliseconds, the last but one for what is longer than any. */
export const DURATION_BOUNDS_MS = [1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5];
export const BLACKOUT_BOUNDS_MS = [50, 100, 200, 300, 500, 750, 1e3, 1.5e3, 2e3, 5e3, 1e4, 3e4, 6e4];
export const STEP_BOUNDS_MS = [10, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5];

/** Added to the counters: all of it, or nothing where `once` was counted for this migration already. */
export interface TallyPart {
  readonly once: '' | 'run' | 'blackout';
  readonly add: Readonly<Record<string, number>>;
}

/** What the report of a migration adds; nothing unless it has ended. */
export function talliesOf(report: MigrationReport): TallyPart[] {
  if (!isEnd(report.state)) return [];
  const { state, from, to, failure, blackoutMs } = report;
  const failed = failure === null ? {} : { [field('failure', failure.code, hostOf(report))]: 1 };
  const ends = {
    [field('end', state)]: 1,
    [field('host', from, 'out', state)]: 1,
    [field('host', to, 'in', state)]: 1,
    ...failed,
  };
  return [
    { once: '', add: ends },
    { once: 'run', add: runOf(report) },
    ...(blackoutMs === null
      ? []
      : [{ once: 'blackout' as const, add: observed(blackoutMs, BLACKOUT_BOUNDS_MS, 'blackout') }]),
  ];
}

/** Field names: words that cannot hold the separator, for hosts, states, steps and codes are checked by their schemas. */
const field = (...words: readonly (string | number)[]): string => words.join('|');

/** The host that a failure names, where that is one of the two. */
function hostOf({ failure, from, to }: MigrationReport): string {
  const named = failure?.details.host;
  return named === from || named === to ? named : '';
}

function runOf(report: MigrationReport): Record<string, number> {
  const sum = new Map(Object.entries(observed(report.totalMs, DURATION_BOUNDS_MS, 'duration', report.state)));
  const add = (counters: Record<string, number>) => {
    for (const [name, more] of Object.entries(counters)) sum.set(name, (sum.get(name) ?? 0) + more);
  };
  for (const { name, ms } of report.steps) add(observed(ms, STEP_BOUNDS_MS, 'step', name));
  if (report.bytesSent) add({ [field('bytes', report.from, report.to)]: Math.round(report.bytesSent) });
  return Object.fromEntries(sum);
}

/** One observation of a histogram: its bucket and its sum. How many there are, the buckets tell together. */
function observed(
  ms: number,
  bounds: readonly number[],
  ...words: readonly string[]
): Record<string, number> {
  const bound = bounds.find((upper) => ms <= upper) ?? 'more';
  return {
    [field(...words, 'le', bound)]: 1,
    [field(...words, 'sum')]: Math.round(ms),
  };
}

/** One counter as it stands: the words that its field is made of, and the amount. */
export interface TallyCount {
  readonly words: readonly string[];
  readonly amount: number;
}

/** All counters. @throws {CmtError} REDIS_UNREACHABLE */
export async function readTally(redis: Redis): Promise<TallyCount[]> {
  const counters = await reaching(redis, redis.hgetall(keys.tally));
  return Object.entries(counters).map(([name, amount]) => ({
    words: name.split('|'),
    amount: Number(amount),
  }));
}

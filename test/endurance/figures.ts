/** What an endurance run is judged by. Pure. */
import type { Memory } from './memory.ts';

/** One process's memory after each migration, the first before any. */
export interface Course {
  readonly name: string;
  readonly samples: readonly Memory[];
}

export interface Growth {
  readonly name: string;
  readonly rssMbAfterWarmUp: number;
  readonly rssMbAtEnd: number;
  readonly heapMbAfterWarmUp: number;
  readonly heapMbAtEnd: number;
  /** Of the resident set, from the end of the warm-up to the end. */
  readonly percent: number;
}

/** Samples on either end whose median counts: a single one may have caught a migration's last bytes. */
const WINDOW = 10;

/** @param warmUp migrations that do not count; null when there are too few after them to say anything */
export function growthOf({ name, samples }: Course, warmUp: number): Growth | null {
  const early = samples.slice(warmUp, warmUp + WINDOW);
  const late = samples.slice(-WINDOW);
  if (samples.length < warmUp + 2 * WINDOW) return null;
  const [rssBefore, rssAfter] = [median(early.map(({ rss }) => rss)), median(late.map(({ rss }) => rss))];
  return {
    name,
    rssMbAfterWarmUp: mb(rssBefore),
    rssMbAtEnd: mb(rssAfter),
    heapMbAfterWarmUp: mb(median(early.map(({ heapUsed }) => heapUsed))),
    heapMbAtEnd: mb(median(late.map(({ heapUsed }) => heapUsed))),
    percent: Math.round((1000 * (rssAfter - rssBefore)) / rssBefore) / 10,
  };
}

/** The value below which `share` (0 to 1) of the numbers lie; 0 for none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);
const mb = (bytes: number): number => Math.round(bytes / 1e5) / 10;

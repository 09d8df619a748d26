/**
 * Ticks that a workload's copies left on each host: proof of execution without the gaps of sampling.
 *
 * All lab hosts share one kernel, so CLOCK_MONOTONIC is one clock, and two copies that ran at the same time have
 * ticks between each other's.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleOf, pathInHost } from '../../apps/lab/src/demo/container.ts';
import type { Lab } from '../../apps/lab/src/main.ts';

export interface Tick {
  readonly number: number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly at: number;
}

const RECORD_BYTES = 16;

/** The ticks in the container's file on one host; none when it was never there. */
export async function readTicks(lab: Lab, host: string, id: string): Promise<Tick[]> {
  const path = pathInHost(lab, host, join(bundleOf(id), 'rootfs/data/ticks'));
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  return Array.from({ length: Math.floor(bytes.length / RECORD_BYTES) }, (_, n) => ({
    number: Number(bytes.readBigUInt64LE(n * RECORD_BYTES)),
    at: Number(bytes.readBigUInt64LE(n * RECORD_BYTES + 8)),
  }));
}

/**
 * Ticks of one history that the other does not have: none of the two may begin before the other's last common one.
 * One copy was frozen and the other carried on, so one history is a beginning of the other.
 */
export function strayTicks(one: readonly Tick[], other: readonly Tick[]): readonly Tick[] {
  const [shorter, longer] = one.length <= other.length ? [one, other] : [other, one];
  return shorter.filter((tick, n) => longer[n]?.at !== tick.at || longer[n].number !== tick.number);
}

/** True when every tick is one more than the one before, and later. */
export const isUnbroken = (ticks: readonly Tick[]): boolean =>
  ticks.every((tick, n) => tick.number === n && (n === 0 || tick.at > (ticks[n - 1]?.at ?? 0)));

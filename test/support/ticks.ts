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

/** The ticks in the container's file on one host, from the `from`th on; none when it was never there. */
export async function readTicks(lab: Lab, host: string, id: string, from = 0): Promise<Tick[]> {
  const path = pathInHost(lab, host, join(bundleOf(id), 'rootfs/data/ticks'));
  const all = await readFile(path).catch(() => Buffer.alloc(0));
  const bytes = all.subarray(from * RECORD_BYTES);
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

/** True when every tick is one more than the one before, and later; the first is number `from`. */
export const isUnbroken = (ticks: readonly Tick[], from = 0): boolean =>
  ticks.every((tick, n) => tick.number === from + n && (n === 0 || tick.at > (ticks[n - 1]?.at ?? 0)));

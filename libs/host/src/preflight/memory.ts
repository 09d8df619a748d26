/** Memory that a dump has to carry, and memory that a host has left (proc_pid_smaps(5), proc_meminfo(5)). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes in MemTotal and MemAvailable. */
export async function hostMemory(proc = '/proc'): Promise<{ total: number; available: number }> {
  const text = await readFile(join(proc, 'meminfo'), 'utf8');
  return { total: kilobytes(text, 'MemTotal'), available: kilobytes(text, 'MemAvailable') };
}

/** Bytes that the dumps of these processes hold together. */
export async function dumpMemory(pids: readonly number[], proc = '/proc'): Promise<number> {
  const rollups = await Promise.all(
    pids.map((pid) => readFile(join(proc, `${pid}`, 'smaps_rollup'), 'utf8').catch(() => '')),
  );
  return rollups.map(parseRollup).reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * CRIU writes private pages once for every process that has them, shared ones once in all: so anonymous and swapped
 * pages count in full, shared memory by each process's share of it.
 */
export const parseRollup = (rollup: string): number =>
  ['Anonymous', 'Pss_Shmem', 'Swap'].reduce((sum, field) => sum + kilobytes(rollup, field), 0);

const kilobytes = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;

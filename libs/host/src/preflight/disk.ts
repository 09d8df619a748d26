/** Sizes on disk: how much a directory holds, how much is free where one will be. */
import type { StatsFs } from 'node:fs';
import { lstat, readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Room } from '../machine.ts';
import { hostMemory } from './memory.ts';

/** Bytes that a directory takes; `complete` is false when the time was up and there is more. */
export interface DiskUsage {
  readonly bytes: number;
  readonly complete: boolean;
}

/** Directories read at the same time. */
const AT_ONCE = 16;

/** Adds up what is allocated, like du(1) -x: no mount is entered, a file with several names counts once. */
export async function diskUsage(directory: string, limitMs: number, signal: AbortSignal): Promise<DiskUsage> {
  const until = performance.now() + limitMs;
  const { dev } = await lstat(directory);
  const seen = new Set<number>();
  const waiting = [directory];
  let bytes = 0;
  while (waiting.length > 0) {
    signal.throwIfAborted();
    if (performance.now() > until) return { bytes, complete: false };
    const entries = (await Promise.all(waiting.splice(0, AT_ONCE).map(entriesOf))).flat();
    for (const { path, stats } of entries) {
      if (stats.dev !== dev || (stats.nlink > 1 && !stats.isDirectory() && seen.has(stats.ino))) continue;
      seen.add(stats.ino);
      bytes += stats.blocks * 512;
      if (stats.isDirectory()) waiting.push(path);
    }
  }
  return { bytes, complete: true };
}

/** `f_type` of statfs(2). */
const TMPFS = 0x01021994;
const RAMFS = 0x858458f6;

/** What root can write where a path is or would be. */
export async function room(path: string): Promise<Room> {
  const { bavail, bsize, type } = await fileSystemAt(path);
  const free = bavail * bsize;
  if (type !== TMPFS && type !== RAMFS) return { free, inMemory: false };
  const { available } = await hostMemory();
  return { free: type === RAMFS ? available : Math.min(free, available), inMemory: true };
}

async function fileSystemAt(path: string): Promise<StatsFs> {
  for (let here = path; ; here = dirname(here)) {
    const found = await statfs(here).catch((error: unknown) => {
      if (here !== '/' && isMissing(error)) return null;
      throw error;
    });
    if (found !== null) return found;
  }
}

/** A container goes on removing files while they are counted. */
async function entriesOf(directory: string) {
  const names = await readdir(directory).catch(() => []);
  const paths = names.map((name) => join(directory, name));
  const entries = await Promise.all(
    paths.map(async (path) => ({ path, stats: await lstat(path).catch(() => null) })),
  );
  return entries.flatMap(({ path, stats }) => (stats === null ? [] : [{ path, stats }]));
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

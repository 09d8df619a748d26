/** The directory in /tmp on which CRIU mounts what it restores; it removes it itself unless it is killed (criu/mount.c, `create_mnt_roots`). */
import { readFile, rmdir } from 'node:fs/promises';

const YARD = /\/tmp\/\.criu\.mntns\.\w{6}/;

/** The directory as a restore's log names it, or null. Pure. */
export const rootsYardIn = (log: string): string | null => YARD.exec(log)?.[0] ?? null;

/** Removes what a killed restore has left there. Only an empty directory, and only that of this very log. */
export async function removeRootsYard(logFile: string): Promise<void> {
  const yard = rootsYardIn(await readFile(logFile, 'utf8').catch(() => ''));
  // Gone already, or used by somebody else: either way none of ours.
  if (yard !== null) await rmdir(yard).catch(() => undefined);
}

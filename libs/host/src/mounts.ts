/**
 * Deleting directories without ever deleting through a mount: a forgotten bind mount below an images directory or
 * below /run/runc/<id> can be a container's own root filesystem.
 *
 * INVARIANT: a recursive delete happens only after mountinfo has shown nothing mounted at or below the path.
 */
import { lstat, readFile, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A recursive delete that was refused because something is mounted there. */
export class MountedError extends Error {
  constructor(
    readonly path: string,
    readonly mounts: readonly string[],
  ) {
    super(`${path} is not deleted: ${mounts.join(', ')} is mounted there`);
    this.name = 'MountedError';
  }
}

/** Mount points of this process's mount namespace, as /proc/PID/mountinfo writes them (proc_pid_mountinfo(5)). */
export function parseMountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((point) => point !== undefined)
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
}

/** The mount points at a path or below it, as a process sees them. Symbolic links above the last segment are followed. */
export async function mountsWithin(path: string, pid: number | 'self' = 'self'): Promise<string[]> {
  const real = join(await realpath(dirname(path)), basename(path));
  const points = parseMountPoints(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));
  return points.filter((point) => point === real || point.startsWith(`${real}/`));
}

/** Removes a directory and what is in it; nothing there is fine. @throws {MountedError} when something is mounted within. */
export async function removeTree(path: string): Promise<void> {
  if (!(await isThere(path))) return;
  const mounts = await mountsWithin(path);
  if (mounts.length > 0) throw new MountedError(path, mounts);
  await rm(path, { recursive: true, force: true });
}

/** Whether anything, also a dangling link, has that name. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return false;
    throw error;
  }
}

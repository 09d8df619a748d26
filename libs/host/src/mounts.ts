/**
 * Deleting directories without ever deleting through a mount: a forgotten bind mount below an images directory or
 * below /run/runc/<id> can be a container's own root filesystem.
 *
 * INVARIANTS
 * - A recursive delete runs in a mount namespace of its own, which no later mount reaches (mount_namespaces(7)), and only
 *   after the mountinfo of that namespace has shown nothing mounted at or below the path.
 * - It ends with this process: the next worker may fill the same path again.
 */
import { lstat, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { tryRun, type Finished } from './process.ts';

/** Runs a program in a mount namespace that no later mount of this one reaches (unshare(1)). */
const ALONE = ['unshare', '--mount', '--propagation', 'private', '--'] as const;

/** For sh. $1 the tree as mountinfo writes it, $2 the tree: removes it, or names what is mounted there and exits 3. */
export const REMOVE_TREE = `mounted=$(awk 'BEGIN { tree = ARGV[1]; ARGV[1] = "" }
  $5 == tree || index($5, tree "/") == 1 { print $5 }' "$1" /proc/self/mountinfo) || exit
[ -z "$mounted" ] || { printf '%s\\n' "$mounted"; exit 3; }
exec rm -rf --one-file-system -- "$2"
`;
const IS_MOUNTED = 3;

/** Milliseconds: a few million files on a slow disk. */
const REMOVE_LIMIT_MS = 600_000;

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
    .map(unescaped);
}

const unescaped = (point: string): string =>
  point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

/** As the kernel does (show_mountinfo() in fs/proc_namespace.c). */
const escaped = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);

/** The mount points at a path or below it, as a process sees them. Symbolic links above the last segment are followed. */
export async function mountsWithin(path: string, pid: number | 'self' = 'self'): Promise<string[]> {
  const real = await realOf(path);
  const points = parseMountPoints(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));
  return points.filter((point) => point === real || point.startsWith(`${real}/`));
}

/**
 * Removes a directory and what is in it; nothing there is fine.
 * @throws {MountedError} when something is mounted within; what is mounted there once it has begun loses its mount point
 */
export async function removeTree(path: string): Promise<void> {
  if (!(await isThere(path))) return;
  const real = await realOf(path);
  const args = ['--pdeathsig', 'KILL', '--', ...ALONE, 'sh', '-c', REMOVE_TREE, 'sh', escaped(real), real];
  const finished = await tryRun('setpriv', args, { timeoutMs: REMOVE_LIMIT_MS });
  if (finished.code === IS_MOUNTED) throw new MountedError(path, finished.stdout.split('\n').map(unescaped));
  if (finished.code !== 0) throw new Error(`${path} is not deleted: ${reasonOf(finished)}`);
}

const reasonOf = ({ stderr, code, signal }: Finished): string =>
  stderr.trim().split('\n').at(-1) || `rm ended with ${signal ?? `code ${code ?? '?'}`}`;

const realOf = async (path: string): Promise<string> => join(await realpath(dirname(path)), basename(path));

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

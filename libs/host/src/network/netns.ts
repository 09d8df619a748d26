/**
 * Network namespaces: the path that names one, who is inside, making and removing (ip-netns(8), network_namespaces(7)).
 *
 * INVARIANTS
 * - A namespace is told by the inode of its nsfs file, never by its path alone.
 * - A path is unlinked only when nothing is mounted there any more.
 */
import { mkdir, readFile, readdir, readlink, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { parseMountPoints } from '../mounts.ts';
import { run } from '../process.ts';

/** Magic number of nsfs (statfs(2)). */
const NSFS_MAGIC = 0x6e736673;
const limits = (signal: AbortSignal) => ({ timeoutMs: 10_000, signal });

/** Inode of the network namespace of a process, e.g. `self` or a pid. */
export const netnsOfProcess = async (pid: number | 'self'): Promise<number> =>
  (await stat(`/proc/${pid}/ns/net`)).ino;

/** Inode of the namespace at a path, or null when there is none. */
export async function netnsAt(path: string): Promise<number | null> {
  try {
    return (await statfs(path)).type === NSFS_MAGIC ? (await stat(path)).ino : null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The paths of all namespaces that have one in this mount namespace: `net:[INODE]` mounted there. */
export async function namedNetns(): Promise<{ path: string; inode: number }[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const inode = /^net:\[(\d+)\]$/.exec(line.split(' ')[3] ?? '')?.[1];
    const [path] = parseMountPoints(line);
    return inode === undefined || path === undefined ? [] : [{ path, inode: Number(inode) }];
  });
}

/** Processes whose network namespace has this inode. */
export async function processesInside(inode: number): Promise<number[]> {
  const wanted = `net:[${inode}]`;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const links = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => '')));
  return pids.filter((_, index) => links[index] === wanted).map(Number);
}

/** Makes a fresh namespace at a path that is not a namespace now. */
export async function makeNetns(path: string, signal: AbortSignal): Promise<void> {
  // Left by a crash between making the file and mounting on it.
  await rm(path, { force: true });
  const place = resolve(path.replace(/^\/var\/run\//, '/run/'));
  if (dirname(place) === '/run/netns') {
    await run('ip', ['netns', 'add', basename(place)], limits(signal));
    return;
  }
  await mkdir(dirname(place), { recursive: true });
  await run('sh', ['-c', ': > "$1" && exec unshare --net="$1" true', 'sh', place], limits(signal));
}

/** Removes the path, however often something is mounted on it; the namespace ends with its last user. Idempotent. */
export async function dropNetns(path: string, signal: AbortSignal): Promise<void> {
  while ((await netnsAt(path)) !== null) await run('umount', [path], limits(signal));
  await rm(path, { force: true });
}

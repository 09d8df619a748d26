/** A container's cgroup, acted upon as one (cgroups(7), Documentation/admin-guide/cgroup-v2.rst). cgroup v1 is runc's business. */
import { readFileSync } from 'node:fs';
import { readdir, readFile, rmdir, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { statFields } from '../proc.ts';
import { seen } from '../seen.ts';

const UNIFIED = '/sys/fs/cgroup';
/** CGROUP2_SUPER_MAGIC of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270;

/** How often a freeze is tried anew because it hit a process between vfork and exec, and how long it runs in between. */
const VFORK_TRIES = 200;
const VFORK_THAW_MS = 1;

/** Whether a process is in that cgroup or in one below it. False on cgroup v1. */
export async function isIn(directory: string, pid: number): Promise<boolean> {
  const path = await pathInHierarchy(`/proc/${pid}/cgroup`);
  return path !== null && `${join(UNIFIED, path)}/`.startsWith(`${directory}/`);
}

/**
 * Where runc puts a container whose config.json names no other cgroup: beside the one that runc itself runs in
 * (libcontainer/cgroups/fs2/defaultpath.go). Null on cgroup v1, and where that would be a group this process is in.
 */
export async function defaultCgroup(container: string): Promise<string | null> {
  const own = await pathInHierarchy('/proc/self/cgroup');
  if (own === null) return null;
  const path = join(dirname(own), container);
  return own === path || own.startsWith(`${path}/`) ? null : join(UNIFIED, path);
}

/** Whether cgroup2 is mounted where containers are put: a whole one is frozen and killed at once there. */
export const hasUnifiedCgroups = async (): Promise<boolean> =>
  (await statfs(UNIFIED).catch(() => null))?.type === CGROUP2_MAGIC;

async function pathInHierarchy(file: string): Promise<string | null> {
  if (!(await hasUnifiedCgroups())) return null;
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^0::(\/.*)$/m.exec(text)?.[1] ?? null;
}

/**
 * Freezes a cgroup so that CRIU can dump it. A process that waits in vfork for its child's exec counts as frozen, but
 * nobody can stop it with ptrace: CRIU would try for all of its time limit. So it is let go for a moment, and frozen again.
 */
export async function freezeCgroup(directory: string, signal: AbortSignal): Promise<void> {
  for (let tries = VFORK_TRIES; ; tries -= 1) {
    await freezeOnce(directory, signal);
    if (!(await someWaitsInVfork(directory))) return;
    if (tries === 0) throw new Error('a process waits in vfork all the time');
    await writeFile(join(directory, 'cgroup.freeze'), '0');
    await wait(VFORK_THAW_MS, undefined, { signal });
  }
}

/** The same, whatever its processes wait in. */
export async function freezeOnce(directory: string, signal: AbortSignal): Promise<void> {
  await writeFile(join(directory, 'cgroup.freeze'), '1');
  await untilEvent(directory, 'frozen 1', signal);
}

/** Lets a cgroup run on, also one that never came to be frozen. One that is gone is fine. */
export async function thawCgroup(directory: string, signal: AbortSignal): Promise<void> {
  try {
    await writeFile(join(directory, 'cgroup.freeze'), '0');
    await untilEvent(directory, 'frozen 0', signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/**
 * In a frozen cgroup nobody else is in D, nor in R: a caller of vfork is counted as frozen before it sleeps, everybody else
 * after (kernel/fork.c, wait_for_vfork_done; kernel/signal.c, do_freezer_trap).
 */
async function someWaitsInVfork(directory: string): Promise<boolean> {
  const threads = (await readFile(join(directory, 'cgroup.threads'), 'utf8')).split('\n').filter(Boolean);
  if (threads.some((thread) => /[DR]/.test(stateOf(thread) ?? ''))) return true;
  const entries = await readdir(directory, { withFileTypes: true });
  for (const entry of entries)
    if (entry.isDirectory() && (await someWaitsInVfork(join(directory, entry.name)))) return true;
  return false;
}

/** Synchronous: a read of /proc takes microseconds, its way through the thread pool many times that. */
function stateOf(thread: string): string | undefined {
  try {
    return statFields(readFileSync(`/proc/${thread}/stat`, 'utf8'))[0];
  } catch {
    return undefined;
  }
}

/**
 * Kills every process of a cgroup and its children at once, frozen or not, and resolves when none is left. A frozen
 * process dies without running another instruction. A cgroup that is gone is fine.
 */
export async function killCgroup(directory: string, signal: AbortSignal): Promise<void> {
  try {
    await writeFile(join(directory, 'cgroup.kill'), '1');
    await untilEvent(directory, 'populated 0', signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Removes a cgroup without processes. One that is gone is fine. */
export async function removeCgroup(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Resolves when cgroup.events has that line; the kernel tells of a change as of a modified file. */
async function untilEvent(directory: string, line: string, signal: AbortSignal): Promise<void> {
  const events = join(directory, 'cgroup.events');
  await seen(events, async () => (await readFile(events, 'utf8')).includes(line) || null, signal);
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV');

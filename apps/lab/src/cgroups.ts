/**
 * Every process of a lab lives in the cgroup `cmt-lab/<lab>/<host>`, so that killing by group needs no pids
 * and cannot hit a stranger who was given one of them again.
 */
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ProcessId } from './lab.ts';
import { LabError } from './lab-error.ts';
import { listMounts } from './mounts.ts';
import { identify, isAlive } from './processes.ts';

/** Directory of a lab's cgroup. @throws {LabError} without a cgroup2 mount. */
export async function labCgroup(lab: string): Promise<string> {
  const mount = (await listMounts()).find(({ fsType }) => fsType === 'cgroup2');
  if (!mount) throw new LabError('no cgroup2 is mounted here: `mount -t cgroup2 none /sys/fs/cgroup`');
  return join(mount.mountPoint, 'cmt-lab', lab);
}

/** Makes a cgroup `cmt-lab/<lab>/<part>` and lets it use whatever controllers its parents have to give. */
export async function makeCgroup(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const lab = dirname(path);
  for (const parent of [dirname(dirname(lab)), dirname(lab), lab]) await passControllersOn(parent);
}

/** Kills everything in a cgroup, frozen or not, and removes it. Does nothing when it is not there. */
export async function killCgroup(path: string, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const members = await membersOf(path);
  // Again and again: what was about to enter when we killed enters afterwards, until there is nothing to enter.
  while (!(await removeCgroup(path))) {
    if (Date.now() > deadline) throw new LabError(`processes in ${path} survive SIGKILL`);
    await ignoreMissing(writeFile(join(path, 'cgroup.kill'), '1'));
    await pause(3);
  }
  // The kernel lets go of the cgroup before the processes have quite ended.
  while (members.some(isAlive) && Date.now() < deadline) await pause(3);
}

/** The argv that runs a program in a cgroup: nothing of it runs outside, and nothing at all if the cgroup is gone. */
export function inCgroup(path: string, argv: readonly string[]): string[] {
  return ['sh', '-c', 'echo 0 > "$1" && shift && exec "$@"', 'sh', join(path, 'cgroup.procs'), ...argv];
}

/** True while any process, also a frozen one, is in the cgroup or below. */
export async function isPopulated(path: string): Promise<boolean> {
  const events = await ignoreMissing(readFile(join(path, 'cgroup.events'), 'utf8'));
  return events?.includes('populated 1') ?? false;
}

/** @returns false when a process is still in it. */
async function removeCgroup(path: string): Promise<boolean> {
  const entries = (await ignoreMissing(readdir(path, { withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (entry.isDirectory() && !(await removeCgroup(join(path, entry.name)))) return false;
  }
  return rmdir(path).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );
}

async function passControllersOn(path: string): Promise<void> {
  const available = (await readFile(join(path, 'cgroup.controllers'), 'utf8')).split(/\s+/).filter(Boolean);
  for (const controller of available) {
    // One that cannot be passed on (a parent holds processes, say) is one the containers go without.
    await writeFile(join(path, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
  }
}

async function membersOf(path: string): Promise<ProcessId[]> {
  const pids = (await ignoreMissing(readFile(join(path, 'cgroup.procs'), 'utf8'))) ?? '';
  const own = pids.split('\n').map((pid) => identify(Number(pid)));
  const entries = (await ignoreMissing(readdir(path, { withFileTypes: true }))) ?? [];
  const dirs = entries.filter((entry) => entry.isDirectory()).map(({ name }) => membersOf(join(path, name)));
  return [...own.filter((id) => id !== undefined), ...(await Promise.all(dirs)).flat()];
}

async function ignoreMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

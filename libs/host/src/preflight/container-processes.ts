/** Which processes are a container's: those of its cgroup, or, without one, init and its descendants. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerState } from '../runtimes/runtime.ts';
import { parseStatus } from './proc-text.ts';

/** @param proc where proc(5) is mounted */
export async function containerPids(
  { cgroup, pid }: Pick<ContainerState, 'cgroup' | 'pid'>,
  proc = '/proc',
): Promise<number[]> {
  const pids = cgroup === null ? await descendants(pid, proc) : await pidsBelow(cgroup);
  return [...new Set(pids)].sort((a, b) => a - b);
}

/** Every process id in /proc. */
export const allPids = async (proc = '/proc'): Promise<number[]> =>
  (await readdir(proc)).filter((name) => /^\d+$/.test(name)).map(Number);

/** Of a cgroup and those below it: a container may have made groups of its own. */
export async function pidsBelow(cgroup: string): Promise<number[]> {
  const [text, entries] = await Promise.all([
    readFile(join(cgroup, 'cgroup.procs'), 'utf8').catch(() => ''),
    readdir(cgroup, { withFileTypes: true }).catch(() => []),
  ]);
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => pidsBelow(join(cgroup, name)));
  return [...text.split('\n').filter(Boolean).map(Number), ...(await Promise.all(below)).flat()];
}

async function descendants(init: number, proc: string): Promise<number[]> {
  const pids = await allPids(proc);
  const parents = await Promise.all(pids.map((pid) => parentOf(pid, proc)));
  const found = [init];
  for (const parent of found) found.push(...pids.filter((_, index) => parents[index] === parent));
  return found;
}

const parentOf = async (pid: number, proc: string): Promise<number | null> =>
  readFile(join(proc, `${pid}`, 'status'), 'utf8').then(
    (text) => parseStatus(text).parent,
    () => null,
  );

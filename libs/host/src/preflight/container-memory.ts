/** The memory of all containers of a host at one glance: cheap enough to be announced again and again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerSummary } from '@cmt/contracts';
import { allPids } from './container-processes.ts';

/** What proc_pid_status(5) says of one process: its parent, and bytes that a dump would carry. */
interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly bytes: number;
}

/** Adds to each running container what its init and all its descendants hold; a process that ends meanwhile counts nothing. */
export async function withMemory(
  containers: readonly ContainerSummary[],
  proc = '/proc',
): Promise<ContainerSummary[]> {
  if (!containers.some(({ pid }) => pid > 0)) return [...containers];
  const read = (await allPids(proc)).map(async (pid) => parseProcess(pid, await statusOf(pid, proc)));
  const processes = (await Promise.all(read)).filter((one) => one !== null);
  const inits = new Map(processes.map((one) => [one.pid, one]));
  const children = new Map<number, Process[]>();
  for (const one of processes) children.set(one.parent, [...(children.get(one.parent) ?? []), one]);
  return containers.map((container) => {
    const init = inits.get(container.pid);
    return init === undefined ? container : { ...container, memory: bytesOf(init, children) };
  });
}

const statusOf = (pid: number, proc: string): Promise<string> =>
  readFile(join(proc, `${pid}`, 'status'), 'utf8').catch(() => '');

function bytesOf(init: Process, children: ReadonlyMap<number, readonly Process[]>): number {
  const found = [init];
  for (const one of found) found.push(...(children.get(one.pid) ?? []));
  return found.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Null for one that is gone. A kernel thread has no memory of its own. */
export function parseProcess(pid: number, status: string): Process | null {
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1];
  if (parent === undefined) return null;
  const kilobytes = ['RssAnon', 'RssShmem', 'VmSwap'].map((field) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0),
  );
  return { pid, parent: Number(parent), bytes: kilobytes.reduce((sum, kb) => sum + kb * 1024, 0) };
}

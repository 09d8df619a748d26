/** The state of one copy of a container, read from the kernel on the machine below the lab hosts. Changes nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CopyState } from './copies.ts';

/** Pid namespaces around a process of a container, counted from the machine: machine, lab host, container. */
const CONTAINER_DEPTH = 3;
const SIGKILL = 1n << 8n;

/** @param cgroup the container's cgroup as the machine sees it. About 30 µs for each of its processes. */
export function readCopyState(cgroup: string): CopyState {
  const before = isFrozen(cgroup);
  const tasks = containerTasks(cgroup);
  if (tasks.length === 0) return 'absent';
  // CRIU thaws the cgroup of a paused container while it dumps it and freezes it again before it lets go of the
  // tasks: only when it was thawed before and after our look at them does that look count.
  if (before || isFrozen(cgroup)) return 'frozen';
  return tasks.every(isHeldByCriu) ? 'held' : 'running';
}

/** The /proc/PID/status of every live process in the container's own pid namespace; criu itself is not in it. */
function containerTasks(cgroup: string): string[] {
  const pids = read(join(cgroup, 'cgroup.procs')).split('\n').filter(Boolean);
  return pids.map((pid) => read(`/proc/${pid}/status`)).filter(isAliveInContainer);
}

function isAliveInContainer(status: string): boolean {
  if (field(status, 'NSpid').split(/\s+/).length < CONTAINER_DEPTH) return false;
  // A dying process keeps its entry for a while, thawed, without memory; it will never run again.
  if (/^State:\t[ZX]/m.test(status) || field(status, 'VmSize') === '') return false;
  return ((mask(status, 'SigPnd') | mask(status, 'ShdPnd')) & SIGKILL) === 0n;
}

function isHeldByCriu(status: string): boolean {
  if (field(status, 'TracerPid') !== '0') return true;
  return mask(status, 'SigBlk').toString(2).replaceAll('0', '').length >= 60;
}

const isFrozen = (cgroup: string): boolean => read(join(cgroup, 'cgroup.events')).includes('frozen 1');
const mask = (status: string, name: string): bigint => BigInt(`0x${field(status, name) || '0'}`);
const field = (status: string, name: string): string =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';

/** Empty when it is gone: processes and cgroups end while we look. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

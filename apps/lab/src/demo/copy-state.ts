/** The state of one copy of a container, read from the kernel on the machine below the lab hosts. Changes nothing. */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CopyState } from './copies.ts';

/** Pid namespaces around a process of a container, counted from the machine: machine, lab host, container. */
const CONTAINER_DEPTH = 3;
const SIGKILL = 1n << 8n;
/** CRIU's restorer leaves no more than a few signals open. */
const ALL_BLOCKED = 60;

/** The fields of /proc/PID/status that count, in the order in which they come (proc(5)). */
const STATUS =
  /^State:\t(\w)[^]*?^TracerPid:\t(\d+)[^]*?^NSpid:\t(.*)$[^]*?^VmSize:[^]*?^SigPnd:\t(\w+)$[^]*?^ShdPnd:\t(\w+)$[^]*?^SigBlk:\t(\w+)$/m;

/** @param cgroup the container's cgroup as the machine sees it. About 50 µs, and 30 µs for each process looked at. */
export function readCopyState(cgroup: string): CopyState {
  const before = read(join(cgroup, 'cgroup.events'));
  if (!before.includes('populated 1')) return 'absent';
  if (before.includes('frozen 1')) return 'frozen';
  const state = stateOfTasks(cgroup);
  // CRIU thaws the cgroup of a paused container while it dumps it and freezes it again before it lets go of the
  // tasks: only when it was thawed before and after our look at them does that look count.
  if (state === 'running' && read(join(cgroup, 'cgroup.events')).includes('frozen 1')) return 'frozen';
  return state;
}

function stateOfTasks(cgroup: string): CopyState {
  let state: CopyState = 'absent';
  for (const pid of read(join(cgroup, 'cgroup.procs')).split('\n')) {
    const task = pid === '' ? 'absent' : stateOfProcess(pid);
    if (task === 'running') return task;
    if (task === 'held') state = task;
  }
  return state;
}

/**
 * What seems to run may have taken its SIGKILL already and not yet let go of its memory: then its flags say so. Or it is a fork
 * of CRIU in its first moments, before it blocks its signals and becomes what it restores: if it has become that since the first look
 * (we may have had to wait for the processor), a second one finds them blocked.
 */
function stateOfProcess(pid: string): CopyState {
  const look = (): CopyState => stateOfTask(read(`/proc/${pid}/status`));
  const state = look();
  if (state !== 'running') return state;
  if (isDying(read(`/proc/${pid}/stat`))) return 'absent';
  return basename(programOf(pid)) === 'criu' ? 'held' : look();
}

/** Bits of field 9 of /proc/PID/stat: being shut down, killed by a signal (linux/sched.h). */
const PF_EXITING = 0x4;
const PF_SIGNALED = 0x400;

/** Behind the command name, which may itself hold brackets, field 3 comes first. */
function isDying(stat: string): boolean {
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6] ?? PF_EXITING);
  return (flags & (PF_EXITING | PF_SIGNALED)) !== 0;
}

/** A process that is dying keeps its entry for a while, thawed, with SIGKILL pending or without memory: it never runs again. */
function stateOfTask(status: string): CopyState {
  const [, state = 'Z', tracer = '0', pids = '', pending = '0', shared = '0', blocked = '0'] =
    STATUS.exec(status) ?? [];
  if (state === 'Z' || state === 'X' || pids.split('\t').length < CONTAINER_DEPTH) return 'absent';
  if (((mask(pending) | mask(shared)) & SIGKILL) !== 0n) return 'absent';
  const isHeld = tracer !== '0' || mask(blocked).toString(2).replaceAll('0', '').length >= ALL_BLOCKED;
  return isHeld ? 'held' : 'running';
}

const mask = (hex: string): bigint => BigInt(`0x${hex}`);

/** Empty when it is gone, or has no program. */
function programOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}

/** Empty when it is gone: processes and cgroups end while we look. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Processes by pid and start time, so that a pid that was handed out again is never taken for ours. */
import { readFileSync } from 'node:fs';
import type { ProcessId } from './lab.ts';

/** Behind the command name, which may itself hold brackets, field 3 comes first. @returns undefined when no such process exists (a zombie counts as gone). */
export function identify(pid: number): ProcessId | undefined {
  const fields = readProc(pid, 'stat')
    ?.replace(/^.*\) /s, '')
    .split(' ');
  const startTime = fields?.[19];
  return startTime === undefined || fields?.[0] === 'Z' ? undefined : { pid, startTime };
}

/** True when the very process that was identified still runs. */
export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTime === id.startTime;
}

/** Pids of a process's children. */
export function childrenOf(pid: number): readonly number[] {
  return (readProc(pid, `task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
}

/** A process's pid in its innermost pid namespace; undefined when that is our own. */
export function innerPid(pid: number): number | undefined {
  const line = /^NSpid:(.*)$/m.exec(readProc(pid, 'status') ?? '')?.[1];
  const pids = line?.trim().split(/\s+/) ?? [];
  return pids.length < 2 ? undefined : Number(pids.at(-1));
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

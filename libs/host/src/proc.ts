/** Processes told apart across reuse of their ids: pid and start time name one process for ever (proc_pid_stat(5)). */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';

/**
 * Field 22 of /proc/PID/stat, clock ticks since boot; null when there is no such process, or only its zombie. Looks at once: that
 * takes microseconds, its way through the thread pool many times that.
 */
export async function startTimeOf(pid: number): Promise<string | null> {
  if (pid <= 0) return null;
  try {
    return await Promise.resolve(parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return null;
    throw error;
  }
}

/** Whether the very process that had this id and start time is still there. */
export const isAlive = async (who: { readonly pid: number; readonly startTime: string }): Promise<boolean> =>
  (await startTimeOf(who.pid)) === who.startTime;

/**
 * Keeps the kernel from choosing a process, and all that it starts from then on, when memory runs out (proc_pid_oom_score_adj(5)).
 * Changes nothing where this process has no right to, or that one is gone.
 */
export const spareFromOom = (pid: number): Promise<void> =>
  writeFile(`/proc/${pid}/oom_score_adj`, '-1000').catch(() => undefined);

/** Milliseconds since 1970 at which a process began, as exact as the kernel's clock ticks (10 ms). */
export async function beganAt(startTime: string): Promise<number> {
  const uptime = await readFile('/proc/uptime', 'utf8');
  const bootedAt = Date.now() - Number(uptime.split(' ')[0]) * 1000;
  return bootedAt + Number(startTime) * TICK_MS;
}

/** USER_HZ is 100 on every Linux that CRIU runs on. */
const TICK_MS = 10;

/** The fields of a line of /proc/PID/stat from the third on, the state (proc_pid_stat(5)). The command's name may hold spaces and parentheses. */
export const statFields = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

/** The start time in a line of /proc/PID/stat, null for a zombie. */
export function parseStat(stat: string): string | null {
  const fields = statFields(stat);
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

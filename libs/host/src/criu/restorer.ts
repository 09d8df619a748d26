/**
 * Whether restored processes have come out of CRIU's restorer. A CRIU that is killed after its gate was opened and before it
 * lets go of them leaves them there for ever: alive, `running` for the runtime, and not one instruction of their own is run.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { ProcessName } from '../machine.ts';
import { allPids } from '../preflight/container-processes.ts';
import { isAlive, startTimeOf } from '../proc.ts';

/** CRIU's last word about a restore that came to its end (criu/cr-restore.c, `restore_root_task`). */
const FINISHED = 'Restore finished successfully';
const TAIL_BYTES = 4096;

/** The restorer blocks every signal that can be blocked; glibc's sigfillset leaves two of those 62 out. */
const ALL_BLOCKED = 60;

/** Milliseconds between looks; for which it must look so once CRIU is gone; that a CRIU which lives may need after its gate. */
const LOOK_EVERY_MS = 10;
const LIMIT_MS = 2_000;
const HUNG_MS = 30_000;

/**
 * True when the restore's log lacks its last word, the CRIU that writes it is gone, and one of these processes still stands in the
 * restorer, for two seconds together: a log that a full disk has cut short, or a program that blocks all signals, is not
 * enough. A CRIU that lives, its runtime killed perhaps, is waited for: what it lets go of must not be restored a second time,
 * for its connections have been heard of already.
 * @param pids the container's processes
 */
export async function standsInRestorer(logFile: string, pids: readonly number[]): Promise<boolean> {
  const hungAt = performance.now() + HUNG_MS;
  let deadline: number | null = null;
  while (!(await isFinished(logFile)) && (await someBlockAll(pids))) {
    const criu = deadline === null ? await writerOf(logFile, pids) : null;
    if (criu !== null) await ended(criu, hungAt);
    const now = performance.now();
    deadline ??= now > hungAt ? now : now + LIMIT_MS;
    if (now >= deadline) return true;
    await wait(LOOK_EVERY_MS);
  }
  return false;
}

async function ended(who: ProcessName, limit: number): Promise<void> {
  while (performance.now() < limit && (await isAlive(who))) await wait(LOOK_EVERY_MS);
}

/** The process that has the log open and is none of the container's: those have it open, too, while they stand in the restorer. */
async function writerOf(logFile: string, pids: readonly number[]): Promise<ProcessName | null> {
  const log = await stat(logFile).catch(() => null);
  if (log === null) return null;
  const others = (await allPids()).filter((pid) => !pids.includes(pid));
  const writers = await Promise.all(
    others.map(async (pid) => ((await isCriu(pid)) && (await hasOpen(pid, log)) ? pid : null)),
  );
  for (const pid of writers) {
    const startTime = pid === null ? null : await startTimeOf(pid);
    if (pid !== null && startTime !== null) return { pid, startTime };
  }
  return null;
}

/** CRIU gives itself another title, not another name (proc_pid_comm(5)). */
const isCriu = async (pid: number): Promise<boolean> =>
  (await readFile(`/proc/${pid}/comm`, 'latin1').catch(() => '')).trim() === 'criu';

/** By the file itself: CRIU is in a mount namespace of its own, where paths are others. */
async function hasOpen(pid: number, { dev, ino }: { dev: number; ino: number }): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const files = await Promise.all(fds.map((fd) => stat(`/proc/${pid}/fd/${fd}`).catch(() => null)));
  return files.some((file) => file?.dev === dev && file.ino === ino);
}

/** Without a log nothing can be said against it. */
async function isFinished(logFile: string): Promise<boolean> {
  const tail = await tailOf(logFile);
  return tail === null || tail.includes(FINISHED);
}

async function tailOf(path: string): Promise<string | null> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await file.read(tail, 0, tail.length, size - tail.length);
    return tail.toString('latin1');
  } finally {
    await file.close();
  }
}

async function someBlockAll(pids: readonly number[]): Promise<boolean> {
  const all = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')));
  return all.some(blocksAll);
}

/** Whether the text of /proc/PID/status (proc(5)) is that of a process with all signals blocked. Pure. */
export function blocksAll(status: string): boolean {
  const mask = /^SigBlk:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return BigInt(`0x${mask}`).toString(2).replaceAll('0', '').length >= ALL_BLOCKED;
}

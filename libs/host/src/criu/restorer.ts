/**
 * Whether restored processes have come out of CRIU's restorer. A CRIU that is killed after its gate was opened and before it
 * lets go of them leaves them there for ever: alive, `running` for the runtime, and not one instruction of their own is run.
 */
import { open, readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

/** CRIU's last word about a restore that came to its end (criu/cr-restore.c, `restore_root_task`). */
const FINISHED = 'Restore finished successfully';
const TAIL_BYTES = 4096;

/** The restorer blocks every signal that can be blocked; glibc's sigfillset leaves two of those 62 out. */
const ALL_BLOCKED = 60;

/** Milliseconds that a CRIU whose runtime was killed may still need, and between looks. */
const LIMIT_MS = 2_000;
const LOOK_EVERY_MS = 10;

/**
 * True when the restore's log lacks its last word and one of these processes still stands in the restorer, for two seconds
 * together: a log that a full disk has cut short, or a program that blocks all signals, is not enough.
 */
export async function standsInRestorer(logFile: string, pids: readonly number[]): Promise<boolean> {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await isFinished(logFile)) && (await someBlockAll(pids))) {
    if (performance.now() > deadline) return true;
    await wait(LOOK_EVERY_MS);
  }
  return false;
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

/**
 * Checkpoints and restores of runc under way on this host, also those of a worker that has died.
 *
 * INVARIANTS
 * - Whoever starts one is written into its environment, so that an orphan is told apart from the work of a living worker
 *   and from what a person does by hand.
 * - A checkpoint is killed only when it does nothing any more: killed in the middle it takes the container with it.
 * - CRIU is killed before its runc: then runc sees the end and removes state, cgroup and mounts by itself.
 * - An orphaned restore is nobody's to end here: it waits, held, for the decision.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isAlive, startTimeOf, statFields } from '../proc.ts';

export interface Operation {
  readonly kind: 'checkpoint' | 'restore';
  readonly container: string;
  readonly pid: number;
  readonly startTime: string;
}

const STARTED_BY = 'CMT_STARTED_BY';

/**
 * A checkpoint of which nothing runs, or waits for a disk, for so long is hung: for longer than CRIU itself waits for a process that does
 * not stop, 10 s, after which it lets go of the container in good order (DEFAULT_TIMEOUT of criu/include/cr_options.h).
 */
const IDLE_MS = 15_000;
const IDLE_LOOK_MS = 100;
/** Not even SIGKILL ends a process in uninterruptible sleep. */
const KILL_LIMIT_MS = 15_000;

/** A killed runc cleans up and ends within milliseconds; it is killed itself after this. */
const END_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 10;

/** How long a process without a command line is believed to get one. Milliseconds. */
const BETWEEN_PROGRAMS_MS = 1;
const MOST_TRIES = 40;
const PF_EXITING = 0x4;
const PF_KTHREAD = 0x200000;

/** For the environment of every operation this process starts. */
export async function startedByThisProcess(): Promise<Record<string, string>> {
  return { [STARTED_BY]: `${process.pid}:${(await startTimeOf(process.pid)) ?? ''}` };
}

/** What is under way on a container of that runc. */
export async function operationsOn(root: string, container: string): Promise<Operation[]> {
  const all = await Promise.all((await allPids()).map((pid) => operationOf(pid, root)));
  return all
    .filter((operation) => operation !== null)
    .filter((operation) => operation.container === container);
}

/** Whether the worker that started it is gone. False for what no worker has started. */
export async function isOrphan({ pid }: Operation): Promise<boolean> {
  const environment = await textIn(`/proc/${pid}/environ`);
  const [starter, startTime] = entryOf(environment, STARTED_BY)?.split(':') ?? [];
  return (
    starter !== undefined && startTime !== undefined && !(await isAlive({ pid: Number(starter), startTime }))
  );
}

/** Kills what an operation has started, lets the operation clean up, and resolves when it is gone. @throws when that fails */
export async function endOperation(operation: Pick<Operation, 'pid' | 'startTime'>): Promise<void> {
  const began = performance.now();
  while (await isAlive(operation)) {
    for (const pid of await descendantsOf(operation.pid)) send(pid, 'SIGKILL');
    const ms = performance.now() - began;
    if (ms > END_LIMIT_MS) send(operation.pid, 'SIGKILL');
    if (ms > KILL_LIMIT_MS) throw new Error(`process ${operation.pid} does not die: it waits in the kernel`);
    await wait(LOOK_EVERY_MS);
  }
}

/**
 * Lets a checkpoint come to its end, and ends it when it is hung or takes longer than `limitMs`. What of it was stopped
 * (SIGSTOP) is sent on: then CRIU itself lets go of the container in good order.
 */
export async function endGently(
  operation: Pick<Operation, 'pid' | 'startTime'>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const limit = performance.now() + limitMs;
  let progress = { of: '', at: performance.now() };
  while (await isAlive(operation)) {
    const now = performance.now();
    const { isBusy, of } = await activityOf(operation.pid);
    if (isBusy || of !== progress.of) progress = { of, at: now };
    if (now > limit || now - progress.at > IDLE_MS) return await endOperation(operation);
    await wait(IDLE_LOOK_MS, undefined, signal ? { signal } : {});
  }
}

/** What an operation does this moment: two that are equal, and not busy, mean that nothing happened in between. */
async function activityOf(pid: number): Promise<{ readonly isBusy: boolean; readonly of: string }> {
  const pids = [pid, ...(await descendantsOf(pid))];
  const stats = await Promise.all(pids.map((each) => textIn(`/proc/${each}/stat`)));
  for (const each of pids) send(each, 'SIGCONT');
  // State, and fields 14 and 15: the ticks in user and kernel mode.
  const fields = stats.map(statFields);
  return {
    isBusy: fields.some(([state]) => state === 'R' || state === 'D'),
    of: fields.map((field, at) => `${pids[at]}:${field[11]}:${field[12]}`).join(' '),
  };
}

/** Null for a process that is no `[unshare … --] runc --root ROOT … checkpoint|restore … ID`. */
async function operationOf(pid: number, root: string): Promise<Operation | null> {
  const argv = await argvOf(pid);
  // One that was started this moment may still be the program that becomes runc.
  const args = argv.slice(argv.findIndex((argument) => basename(argument) === 'runc'));
  const kind = (['checkpoint', 'restore'] as const).find((name) => args.includes(name));
  const container = args.at(-1);
  const isOurs = basename(args[0] ?? '') === 'runc' && args[args.indexOf('--root') + 1] === root;
  if (!isOurs || kind === undefined || container === undefined) return null;
  const startTime = await startTimeOf(pid);
  return startTime === null ? null : { kind, container, pid, startTime };
}

/** Empty for one that is gone, and for a thread of the kernel. Between two programs it has none for a moment, and is asked again (execve(2)). */
async function argvOf(pid: number): Promise<string[]> {
  for (let tries = 1; ; tries += 1) {
    const text = await textIn(`/proc/${pid}/cmdline`);
    if (text !== '' || tries === MOST_TRIES || !(await mayBecomeAnother(pid)))
      return text.split('\0').slice(0, -1);
    await wait(BETWEEN_PROGRAMS_MS);
  }
}

/** Whether it is a process, and not about to end: state and flags, fields 3 and 9 of proc_pid_stat(5), include/linux/sched.h. */
async function mayBecomeAnother(pid: number): Promise<boolean> {
  const [state = '', , , , , , flags] = statFields(await textIn(`/proc/${pid}/stat`));
  return !['', 'Z', 'X'].includes(state) && (Number(flags) & (PF_EXITING | PF_KTHREAD)) === 0;
}

/** Children, their children, and so on, in no particular order. */
async function descendantsOf(pid: number): Promise<number[]> {
  const pids = await allPids();
  const parents = new Map(
    await Promise.all(pids.map(async (child) => [child, await parentOf(child)] as const)),
  );
  const found = [pid];
  for (const parent of found) found.push(...pids.filter((child) => parents.get(child) === parent));
  return found.slice(1);
}

async function parentOf(pid: number): Promise<number | null> {
  const parent = /^PPid:\s*(\d+)$/m.exec(await textIn(`/proc/${pid}/status`))?.[1];
  return parent === undefined ? null : Number(parent);
}

const allPids = async (): Promise<number[]> =>
  (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);

const entryOf = (environment: string, name: string): string | undefined =>
  environment
    .split('\0')
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1);

/** Empty for a process that is gone meanwhile. */
const textIn = async (path: string): Promise<string> => await readFile(path, 'utf8').catch(() => '');

/** Gone already is as good. */
export function send(pid: number, signal: 'SIGKILL' | 'SIGCONT'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

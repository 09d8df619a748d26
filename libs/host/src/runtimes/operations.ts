/**
 * Checkpoints and restores of runc under way on this host, also those of a worker that has died.
 *
 * INVARIANTS
 * - Whoever starts one is written into its environment, so that an orphan is told apart from the work of a living worker
 *   and from what a person does by hand.
 * - CRIU is killed before its runc: then runc sees the end and removes state, cgroup and mounts by itself.
 * - An orphaned restore is nobody's to end here: it waits, held, for the decision.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isAlive, startTimeOf } from '../proc.ts';

export interface Operation {
  readonly kind: 'checkpoint' | 'restore';
  readonly container: string;
  readonly pid: number;
  readonly startTime: string;
}

const STARTED_BY = 'CMT_STARTED_BY';

/** A killed runc cleans up and ends within milliseconds; it is killed itself after this. */
const END_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 10;

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

/** Kills what an operation has started, lets the operation clean up, and resolves when it is gone. */
export async function endOperation(operation: Pick<Operation, 'pid' | 'startTime'>): Promise<void> {
  const limit = performance.now() + END_LIMIT_MS;
  while (await isAlive(operation)) {
    for (const pid of await descendantsOf(operation.pid)) kill(pid);
    if (performance.now() > limit) kill(operation.pid);
    await wait(LOOK_EVERY_MS);
  }
}

/** Resolves when it has ended by itself, or with false after `limitMs`. */
export async function hasEnded(operation: Operation, limitMs: number, signal: AbortSignal): Promise<boolean> {
  const limit = performance.now() + limitMs;
  while (await isAlive(operation)) {
    if (performance.now() > limit) return false;
    await wait(LOOK_EVERY_MS, undefined, { signal });
  }
  return true;
}

/** Null for a process that is no `[unshare … --] runc --root ROOT … checkpoint|restore … ID`. */
async function operationOf(pid: number, root: string): Promise<Operation | null> {
  const argv = (await textIn(`/proc/${pid}/cmdline`)).split('\0').slice(0, -1);
  // One that was started this moment may still be the program that becomes runc.
  const args = argv.slice(argv.findIndex((argument) => basename(argument) === 'runc'));
  const kind = (['checkpoint', 'restore'] as const).find((name) => args.includes(name));
  const container = args.at(-1);
  const isOurs = basename(args[0] ?? '') === 'runc' && args[args.indexOf('--root') + 1] === root;
  if (!isOurs || kind === undefined || container === undefined) return null;
  const startTime = await startTimeOf(pid);
  return startTime === null ? null : { kind, container, pid, startTime };
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
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Restores that this process started: their end can be awaited instead of looked for. Empty after a restart of the worker. */
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import type { Machine, ProcessName } from '../machine.ts';
import type { RestoreUnderWay } from '../runtimes/runtime.ts';
import { perHost } from './per-host.ts';

const LOOK_EVERY_MS = 10;

/** By migration. */
export const restoresOf = perHost(() => new Map<string, RestoreUnderWay>());

/** Resolves when the runtime's process of that restore has ended, whoever started it. Rejects when the signal aborts. */
export async function restoreEnded(
  entry: JournalEntry,
  { journal, machine }: StepContext,
  signal: AbortSignal,
): Promise<void> {
  if (entry.restore === null) return;
  const { pid, startTime } = entry.restore;
  const own = restoresOf(journal).get(entry.migration);
  const isOwn = own?.pid === pid && own.startTime === startTime;
  if (!isOwn) return await gone(entry.restore, machine, signal);
  await new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the restore has not ended')), { once: true });
    void own.ended.then(() => resolve());
  });
}

async function gone(who: ProcessName, { processes, clock }: Machine, signal: AbortSignal): Promise<void> {
  while (await processes.isAlive(who)) await clock.wait(LOOK_EVERY_MS, signal);
}

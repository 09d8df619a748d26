/**
 * How the target's copy ends being held: let go, or taken back.
 *
 * INVARIANTS
 * - The gate is opened by `letGo` alone, and that is called only after COMMITTED is journalled.
 * - A copy counts as let go only when CRIU has let go of its processes, not when the runtime calls it running.
 * - A container that was not restored by this migration is never touched (`isOurs`).
 */
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { GateUnattended } from '../criu/gate.ts';
import { RESTORE_LOG } from '../criu/log.ts';
import type { JournalEntry } from '../journal.ts';
import { gateDir, lazyDir, logDir } from '../places.ts';
import type { ContainerState } from '../runtimes/runtime.ts';
import { recall } from './outcomes.ts';
import { restoreEnded, restoresOf } from './restores.ts';

/** Milliseconds that a restore gets to end once its gate was opened or aborted. */
const END_LIMIT_MS = 5_000;

/** Milliseconds for all of taking a copy back. */
const REMOVE_LIMIT_MS = 20_000;

/** Start times are counted in ticks of 10 ms, and the clock may have been set a little. Milliseconds. */
const CLOCK_SLACK_MS = 2_000;

/**
 * Opens the gate. Resolves when the runtime has done its part, with the time at which the copy ran, in milliseconds since 1970;
 * null when the copy is provably dead. A copy that runs already is left as it is.
 */
export async function letGo(entry: JournalEntry, context: StepContext): Promise<number | null> {
  const { clock, gates } = context.machine;
  const gate = gateDir(context.config, entry.migration, entry.epoch);
  const toldAt = clock.now();
  await gates.open(gate).catch(unlessUnattended);
  await restoreEnded(entry, context, clock.limit(END_LIMIT_MS));
  if (await isDead(entry, context)) return null;
  return (await ranFrom(entry, context)) ?? toldAt;
}

/**
 * When the copy ran: CRIU's last word is that it has let go of it, some milliseconds after the gate was opened. Its log counts from
 * its own start; that it was held is in both countings.
 */
async function ranFrom(entry: JournalEntry, context: StepContext): Promise<number | null> {
  const { clock, gates, criu } = context.machine;
  const [{ heldAt, openedAt }, lastWord, held] = await Promise.all([
    gates.times(gateDir(context.config, entry.migration, entry.epoch)),
    criu.lastLogTime(restoreLog(entry, context)),
    recall(context, 'restore-and-hold'),
  ]);
  if (heldAt === null || openedAt === null || lastWord === null || held === null) return openedAt;
  return Math.min(Math.max(openedAt, heldAt + lastWord - held.criuMs), clock.now());
}

/** Nobody is held there: it was opened before, or it is dead. Which of them, the runtime says. */
function unlessUnattended(error: unknown): void {
  if (!(error instanceof GateUnattended)) throw error;
}

/**
 * No restore under way, no process, no state but a stopped one's; or processes that a killed CRIU never let go of, which
 * no longer do anything. @throws CmtError NAME_TAKEN when somebody else's is there. */
async function isDead(entry: JournalEntry, context: StepContext): Promise<boolean> {
  const state = await stateOf(entry, context);
  if (state === null) return true;
  if (!(await isOurs(state, entry, context)))
    throw new CmtError('NAME_TAKEN', { host: context.config.name, container: entry.container });
  if (state.status === 'stopped') return true;
  return await context.machine.criu.standsInRestorer(restoreLog(entry, context), state);
}

const restoreLog = ({ migration, epoch }: JournalEntry, { config }: StepContext): string =>
  join(logDir(config, migration, epoch, 'restore'), RESTORE_LOG);

/**
 * Takes the copy back: the gate says no, CRIU kills the tree, and what the runtime still knows of it is destroyed.
 * Does so to its end also for a step that was stopped.
 */
export async function removeCopy(entry: JournalEntry, stoppable: StepContext): Promise<void> {
  if (entry.restoreOrderedAt === null) return;
  const { clock, gates } = stoppable.machine;
  const context = { ...stoppable, signal: clock.limit(REMOVE_LIMIT_MS) };
  await gates.abort(gateDir(context.config, entry.migration, entry.epoch));
  await endRestore(entry, context);
  restoresOf(context.journal).delete(entry.migration);
  const state = await stateOf(entry, context);
  // Without a state there may still be half of one, left by a runtime that was killed early: it would block the next restore.
  if (state === null || (await isOurs(state, entry, context)))
    await context.runtimes.get(entry.runtime).destroy(entry.container, context.signal);
  await context.machine.lazyPages.end(lazyDir(context.config, entry.migration, entry.epoch));
  await context.machine.criu.removeRootsYard(restoreLog(entry, context));
}

/** A restore that does not end by itself is killed, CRIU first: it takes what it restored with it. */
async function endRestore(entry: JournalEntry, context: StepContext): Promise<void> {
  const { clock, processes } = context.machine;
  try {
    await restoreEnded(entry, context, clock.limit(END_LIMIT_MS));
  } catch {
    if (entry.restore !== null) await processes.endOperation(entry.restore);
  }
}

/** Younger than the order to restore; of a stopped one only its bundle can tell. */
async function isOurs(
  state: ContainerState,
  entry: JournalEntry,
  { machine: { processes } }: StepContext,
): Promise<boolean> {
  if (entry.restoreOrderedAt === null) return false;
  const init = await processes.named(state.pid);
  if (init === null) return state.bundle === entry.bundle;
  return (await processes.beganAt(init)) >= entry.restoreOrderedAt - CLOCK_SLACK_MS;
}

const stateOf = (
  { runtime, container }: JournalEntry,
  context: StepContext,
): Promise<ContainerState | null> => context.runtimes.get(runtime).state(container, context.signal);

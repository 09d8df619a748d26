/**
 * A host that was declared fenced is back: what it still holds of that migration is taken away, once the other side has
 * the container for certain.
 *
 * INVARIANTS
 * - A copy that runs here, or may have run, is never killed and its files are never removed: it is reported.
 * - Until the other side is known to have the container, a held or frozen copy stays as it is: it may be the last one.
 * - The phase that says so (DISCARDED, RETIRED) is journalled before anything is taken away (lifecycle H4).
 */
import { CmtError, type Resolution } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { gateDir } from '../places.ts';
import { clean } from './clean.ts';
import { discard } from './discard.ts';
import { retire } from './retire.ts';

/** Takes away what is left on a fenced side. @returns false while it has to wait. @throws CmtError FENCED_COPY_RUNS */
export async function fencedOff(
  entry: JournalEntry,
  { over }: Resolution,
  context: StepContext,
): Promise<boolean> {
  const opened = entry.side === 'target' && (await wasOpened(entry, context));
  if (await runs(entry, opened, context))
    throw new CmtError('FENCED_COPY_RUNS', { host: context.config.name, container: entry.container });
  if (!over) return false;
  if (entry.side === 'source') await takeAwaySource(entry, context);
  else await takeAwayTarget({ ...entry, bundleExisted: entry.bundleExisted || opened }, context);
  return true;
}

/** Whether the copy has been let go: from then on what it wrote is somebody's. */
async function wasOpened(entry: JournalEntry, { config, machine }: StepContext): Promise<boolean> {
  if (entry.phase === 'RUNNING') return true;
  if (entry.phase !== 'COMMITTED') return false;
  const gate = await machine.gates.state(gateDir(config, entry.migration, entry.epoch));
  // After a reboot the gate is gone, and nobody knows any more.
  return gate === 'opened' || gate === 'absent';
}

/** A copy behind its gate counts as running for the runtime, but has run nothing. */
async function runs(entry: JournalEntry, opened: boolean, context: StepContext): Promise<boolean> {
  if (entry.side === 'target' && !opened) return false;
  const state = await context.runtimes.get(entry.runtime).state(entry.container, context.signal);
  return state?.status === 'running' || (entry.side === 'target' && state?.status === 'paused');
}

async function takeAwayTarget(entry: JournalEntry, context: StepContext): Promise<void> {
  const { network } = entry;
  const subject = subjectOf(entry);
  await context.journal.write({ ...entry, phase: 'DISCARDED', updatedAt: context.machine.clock.now() });
  await discard({ subject, network }, context);
  await clean({ side: 'target', subject, network, outcome: 'stayed' }, context);
}

async function takeAwaySource(entry: JournalEntry, context: StepContext): Promise<void> {
  const { network } = entry;
  const subject = subjectOf(entry);
  await context.journal.write({ ...entry, phase: 'RETIRED', updatedAt: context.machine.clock.now() });
  await retire({ subject, network }, context);
  await clean({ side: 'source', subject, network, outcome: 'moved' }, context);
}

const subjectOf = ({ runtime, container, bundle }: JournalEntry) => ({ runtime, container, bundle });

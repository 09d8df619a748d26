/**
 * How steps read and write the journal. Which phase may follow which is decided here, once.
 *
 * INVARIANTS
 * - A step of an epoch older than the entry's is refused, and so is one that would leave an end (RETIRED, RESUMED, RUNNING, DISCARDED).
 * - A migration is begun on a container only while no other one is open on it (claims.ts).
 */
import { CmtError, type Epoch, type HostName, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry, Phase } from '../journal.ts';

/** What may follow a phase within its epoch. */
const FOLLOWERS: Record<Phase, readonly Phase[]> = {
  SENDING: ['SENDING', 'FROZEN', 'RESUMED'],
  FROZEN: ['FROZEN', 'RETIRED', 'RESUMED'],
  RETIRED: ['RETIRED'],
  RESUMED: ['RESUMED'],
  PREPARED: ['PREPARED', 'HELD', 'DISCARDED'],
  HELD: ['HELD', 'COMMITTED', 'DISCARDED'],
  COMMITTED: ['COMMITTED', 'RUNNING'],
  RUNNING: ['RUNNING'],
  DISCARDED: ['DISCARDED'],
};

/** Phases out of which a newer epoch may begin: the container runs where it ran before, or never left. */
const RESTARTABLE: readonly Phase[] = ['SENDING', 'RESUMED', 'PREPARED', 'DISCARDED'];

/** Where an entry of an epoch may begin; the last two are marks that nothing of it may happen any more. */
const BEGINNINGS: readonly Phase[] = ['SENDING', 'PREPARED', 'RESUMED', 'DISCARDED'];

/** Whether a phase of an epoch may be written over what the journal says. Pure. */
export function mayFollow(
  current: Pick<JournalEntry, 'epoch' | 'phase'> | null,
  next: { readonly epoch: Epoch; readonly phase: Phase },
): boolean {
  if (current === null) return BEGINNINGS.includes(next.phase);
  if (next.epoch < current.epoch) return false;
  if (next.epoch > current.epoch)
    return RESTARTABLE.includes(current.phase) && BEGINNINGS.includes(next.phase);
  return FOLLOWERS[current.phase].includes(next.phase);
}

/** The entry of this migration, or null. @throws CmtError STALE_EPOCH when it is of a newer epoch than the step. */
export async function readEntry(step: string, context: StepContext): Promise<JournalEntry | null> {
  const entry = await context.journal.read(context.migration);
  if (entry !== null && entry.epoch > context.epoch) throw stale(step, context, entry);
  return entry;
}

/** The entry of this very epoch in one of these phases. @throws CmtError STALE_EPOCH otherwise. */
export async function requireEntry(
  step: string,
  context: StepContext,
  phases: readonly Phase[],
): Promise<JournalEntry> {
  const entry = await readEntry(step, context);
  if (entry?.epoch !== context.epoch || !phases.includes(entry.phase)) throw stale(step, context, entry);
  return entry;
}

/** Writes an entry, durable when it resolves. @throws CmtError STALE_EPOCH when its phase may not follow. */
export async function record(step: string, context: StepContext, entry: JournalEntry): Promise<JournalEntry> {
  const current = await context.journal.read(context.migration);
  if (!mayFollow(current, entry)) throw stale(step, context, current);
  const stamped = { ...entry, updatedAt: context.machine.clock.now() };
  await context.journal.write(stamped);
  return stamped;
}

/** An entry as it begins. `peer` is this host itself where nobody was named: a mark that the epoch is over. */
export function newEntry(
  context: StepContext,
  subject: Subject,
  fields: Pick<JournalEntry, 'side' | 'phase'> & { readonly peer?: HostName } & Partial<JournalEntry>,
): JournalEntry {
  return {
    v: 1,
    migration: context.migration,
    epoch: context.epoch,
    runtime: subject.runtime,
    container: subject.container,
    bundle: subject.bundle,
    peer: context.config.name,
    network: { kind: 'none' },
    bundleExisted: true,
    restore: null,
    restoreOrderedAt: null,
    frozenAt: null,
    closed: false,
    updatedAt: context.machine.clock.now(),
    ...fields,
  };
}

export function stale(step: string, context: StepContext, entry: JournalEntry | null): CmtError {
  return new CmtError('STALE_EPOCH', {
    host: context.config.name,
    step,
    epoch: context.epoch,
    current: entry === null ? 'empty' : `epoch ${entry.epoch}, ${entry.phase}`,
  });
}

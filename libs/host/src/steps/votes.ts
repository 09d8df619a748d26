/**
 * Which held copies this very process has not voted for yet: only of those does it know that no COMMIT of them can exist.
 *
 * INVARIANT: an epoch is in the list only between its HELD and the moment before its first vote is sent; a worker that was started
 * again knows of none.
 */
import type { Epoch, MigrationId } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { Journal, JournalEntry } from '../journal.ts';

const unvoted = new WeakMap<Journal, Map<MigrationId, Epoch>>();

function listOf({ journal }: Pick<StepContext, 'journal'>): Map<MigrationId, Epoch> {
  const list = unvoted.get(journal) ?? new Map<MigrationId, Epoch>();
  unvoted.set(journal, list);
  return list;
}

/** HELD is journalled. */
export const noteHeld = ({ migration, epoch }: JournalEntry, context: StepContext): void =>
  void listOf(context).set(migration, epoch);

/** A vote for COMMIT is about to be sent: from now on it may be counted, whatever is heard of it. */
export const noteVote = ({ migration }: JournalEntry, context: StepContext): void =>
  void listOf(context).delete(migration);

/** Whether this process knows that nobody has voted for that held copy. */
export const isUnvoted = ({ migration, epoch }: JournalEntry, context: StepContext): boolean =>
  listOf(context).get(migration) === epoch;

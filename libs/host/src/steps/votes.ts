/**
 * Which held copies this very process has not voted for yet: only of those does it know that no COMMIT of them can exist.
 *
 * INVARIANT: an epoch is in the list only between its HELD and the moment before its first vote is sent; a worker that was started
 * again knows of none.
 */
import type { Epoch, MigrationId } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { perHost } from './per-host.ts';

const unvotedOn = perHost(() => new Map<MigrationId, Epoch>());

/** HELD is journalled. */
export const noteHeld = ({ migration, epoch }: JournalEntry, { journal }: StepContext): void =>
  void unvotedOn(journal).set(migration, epoch);

/** A vote for COMMIT is about to be sent: from now on it may be counted, whatever is heard of it. */
export const noteVote = ({ migration }: JournalEntry, { journal }: StepContext): void =>
  void unvotedOn(journal).delete(migration);

/** Whether this process knows that nobody has voted for that held copy. */
export const isUnvoted = ({ migration, epoch }: JournalEntry, { journal }: StepContext): boolean =>
  unvotedOn(journal).get(migration) === epoch;

/**
 * Step `discard`, undo of `prepare` and `restore-and-hold`: the held copy and all that was reserved is gone.
 *
 * INVARIANTS
 * - A committed copy is never discarded: the answer is COMMIT and nothing was done.
 * - Of a closed migration nothing is left that could be taken away: what lies there now is somebody else's.
 * - DISCARDED is journalled before anything is taken away, and for an epoch that never began here as well:
 *   a late `prepare`, `restore-and-hold` or `release` of it is refused (lifecycle H6: this is what makes an ABORT count).
 */
import type { StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { voteAbort } from './deciding.ts';
import { newEntry, readEntry, record } from './entry.ts';
import type { Step } from './step.ts';
import { undoTarget } from './undo-target.ts';

export const discard: Step<'discard'> = async (input, context) => {
  const entry = await readEntry('discard', context);
  if (entry !== null && (await isCommitted(entry, context))) return { decision: 'COMMIT' };
  const discarded = await markDiscarded(entry, input, context);
  if (!discarded.closed) await undoTarget(discarded, context);
  return { decision: 'ABORT' };
};

/** A copy that was held may have been voted for by a worker that died before it could write that down: ask first. */
async function isCommitted(entry: JournalEntry, context: StepContext): Promise<boolean> {
  if (entry.phase === 'COMMITTED' || entry.phase === 'RUNNING') return true;
  return entry.phase === 'HELD' && (await voteAbort({ ...context, epoch: entry.epoch })) === 'COMMIT';
}

/**
 * What an older epoch left is discarded with it: its entry goes on in the new epoch's mark. Where nothing ever began the mark
 * is closed from its beginning: there is nothing to clean, and nobody who would have to be found to do so.
 */
async function markDiscarded(
  entry: JournalEntry | null,
  { subject }: StepInput<'discard'>,
  context: StepContext,
): Promise<JournalEntry> {
  if (entry === null) {
    const mark = { side: 'target', phase: 'DISCARDED', closed: true } as const;
    return await record('discard', context, newEntry(context, subject, mark));
  }
  const ofItsEpoch = await record('discard', context, { ...entry, phase: 'DISCARDED' });
  if (entry.epoch === context.epoch) return ofItsEpoch;
  return await record('discard', context, { ...ofItsEpoch, epoch: context.epoch });
}

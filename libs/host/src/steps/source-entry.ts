/** The source's journal entry while the container still runs. */
import type { HostName, Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry, Phase } from '../journal.ts';
import { claimContainer } from './claims.ts';
import { newEntry, readEntry, record, stale } from './entry.ts';

/**
 * The entry of this epoch in one of these phases; SENDING is written where the epoch begins here.
 * @throws CmtError STALE_EPOCH, CONTAINER_BUSY
 */
export async function sendingEntry(
  step: string,
  context: StepContext,
  whom: { readonly subject: Subject; readonly peer: HostName },
  phases: readonly Phase[] = ['SENDING'],
): Promise<JournalEntry> {
  const before = await readEntry(step, context);
  if (before?.epoch === context.epoch) {
    if (!phases.includes(before.phase)) throw stale(step, context, before);
    return before;
  }
  const fields = { side: 'source', phase: 'SENDING', peer: whom.peer } as const;
  return await claimContainer(context, whom.subject, () =>
    record(step, context, newEntry(context, whom.subject, fields)),
  );
}

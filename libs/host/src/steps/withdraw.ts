/**
 * The target's answer to a source that stands frozen and cannot reach Redis: may it run on?
 *
 * INVARIANTS
 * - ABORT is answered only with DISCARDED of that epoch, or of a newer one, in the journal: this target never votes for it again
 *   (lifecycle H6: an ABORT counts once the target has written it down).
 * - A copy that somebody may have voted for is not given up here: Redis is asked, and where it does not answer nobody chooses (H5).
 */
import type { Epoch } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import type { Verdict } from '../transports/transport.ts';
import { record } from './entry.ts';
import { isUnvoted } from './votes.ts';

/** Milliseconds for Redis to say what became of a vote. */
const ASK_LIMIT_MS = 2_500;

/**
 * What becomes of the epoch that the source asks about. `context` is of this host's own entry. What is discarded is still to be
 * taken away, by `discard`: the source need not stand still for that.
 */
export async function withdraw(epoch: Epoch, context: StepContext): Promise<Verdict> {
  const entry = await context.journal.read(context.migration);
  // Nothing is known of it: a journal that was lost decides nothing.
  if (entry?.side !== 'target' || entry.epoch < epoch) return 'UNKNOWN';
  if (entry.phase === 'COMMITTED' || entry.phase === 'RUNNING')
    return entry.epoch === epoch ? 'COMMIT' : 'UNKNOWN';
  if (entry.epoch > epoch || entry.phase === 'DISCARDED') return 'ABORT';
  if (entry.phase === 'HELD' && !isUnvoted(entry, context)) return await askRedis(entry, context);
  await record('withdraw', context, { ...entry, phase: 'DISCARDED' });
  return 'ABORT';
}

/** A vote was sent and its answer never came: Redis may know. COMMIT is left for `release` to act on. */
async function askRedis(entry: JournalEntry, context: StepContext): Promise<Verdict> {
  const { clock } = context.machine;
  const signal = AbortSignal.any([context.signal, clock.limit(ASK_LIMIT_MS)]);
  const decision = await context.decisions.read(entry.migration, entry.epoch, signal).catch(() => null);
  if (decision !== 'ABORT') return decision ?? 'UNKNOWN';
  await record('withdraw', context, { ...entry, phase: 'DISCARDED' });
  return 'ABORT';
}

/**
 * A source that stands frozen and cannot reach Redis: it runs on when it knows by itself, or from the target, that no other copy
 * will ever run.
 *
 * INVARIANTS
 * - Before the target was told that everything is there it cannot hold a copy, and after RESUMED it is never told (final-sync.ts).
 * - Otherwise the target's journal decides (withdraw.ts). Without an answer the copy stays frozen (lifecycle H5).
 * - RESUMED is journalled before anything runs (H4).
 * - An operator's word that this side is fenced cannot be read, and need not be: only a target with a copy could follow it (H8).
 */
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import type { Verdict } from '../transports/transport.ts';
import { readEntry, record } from './entry.ts';
import { endServing } from './serving.ts';

/** What came of it; `null` when there is nothing to be settled any more. */
export async function runOnWithoutRedis(context: StepContext): Promise<Verdict | null> {
  const entry = await readEntry('resume', context);
  if (entry === null || entry.epoch !== context.epoch || entry.closed) return null;
  if (entry.phase === 'RESUMED' && entry.ranOnAlone === true) return await runOn(entry, context);
  if (entry.phase !== 'FROZEN') return null;
  const verdict = await verdictOn(entry, context);
  if (verdict !== 'ABORT') return verdict;
  return await runOn(
    await record('resume', context, { ...entry, phase: 'RESUMED', ranOnAlone: true }),
    context,
  );
}

async function runOn(resumed: JournalEntry, context: StepContext): Promise<Verdict> {
  await endServing(resumed, context);
  try {
    await context.network.unfence(resumed.network, context.signal);
  } finally {
    await context.runtimes.get(resumed.runtime).resume(resumed.container, context.signal);
  }
  return 'ABORT';
}

async function verdictOn({ saidGo, route, epoch }: JournalEntry, context: StepContext): Promise<Verdict> {
  // An entry of an older cmt does not tell: nothing was written down before `go` then.
  if (route === undefined) return 'UNKNOWN';
  if (saidGo !== true) return 'ABORT';
  return await context.links.withdraw(context.migration, epoch, route, context.signal);
}

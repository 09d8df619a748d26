/**
 * Step `clean`: what the migration made on this host and nobody needs any more is gone; only journal entry and logs stay.
 *
 * INVARIANT: images and frozen copies are never cleaned away before the hand-over has ended on this side, and images not before the
 * copy's last page is in.
 */
import { CmtError, type StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry, Phase } from '../journal.ts';
import { discard } from './discard.ts';
import { newEntry, readEntry, record, stale } from './entry.ts';
import { removeVolatile } from './images-room.ts';
import { memoryComplete } from './memory-complete.ts';
import type { Step } from './step.ts';

type Input = StepInput<'clean'>;

export const clean: Step<'clean'> = async (input, context) => {
  const entry = await ended(input, context);
  if (entry.closed) return {};
  if (input.side === 'target' && input.outcome === 'moved') await memoryComplete(entry, context);
  if (input.side === 'source') await context.links.drop(context.migration);
  else await context.receiver.forget(context.migration);
  await removeVolatile(context.migration, context);
  if (input.outcome === 'moved' && input.side === 'target')
    await context.machine.bundles.forget(context.config, entry.bundle);
  await record('clean', context, { ...entry, closed: true });
  return {};
};

/** The entry in its last phase. */
async function ended(input: Input, context: StepContext): Promise<JournalEntry> {
  const entry = await readEntry('clean', context);
  if (input.outcome === 'moved')
    return requirePhase(entry, input.side === 'source' ? 'RETIRED' : 'RUNNING', context);
  return input.side === 'source'
    ? stayedSource(entry, input, context)
    : await stayedTarget(entry, input, context);
}

function requirePhase(entry: JournalEntry | null, phase: Phase, context: StepContext): JournalEntry {
  if (entry?.phase !== phase) throw stale('clean', context, entry);
  return entry;
}

/** Never frozen, or resumed: in both cases the container runs. */
function stayedSource(entry: JournalEntry | null, { subject }: Input, context: StepContext): JournalEntry {
  if (entry === null) return newEntry(context, subject, { side: 'source', phase: 'RESUMED' });
  if (entry.phase !== 'SENDING') return { ...requirePhase(entry, 'RESUMED', context), epoch: context.epoch };
  return { ...entry, epoch: context.epoch, phase: 'RESUMED' };
}

/** A target that could not be asked to discard does so now; one whose discard broke half-way does the whole of it again. */
async function stayedTarget(
  entry: JournalEntry | null,
  { subject, network }: Input,
  context: StepContext,
): Promise<JournalEntry> {
  if (entry?.phase === 'DISCARDED' && entry.epoch === context.epoch && entry.closed) return entry;
  const { decision } = await discard({ subject, network }, context);
  if (decision === 'COMMIT')
    throw new CmtError('TARGET_COMMITTED', {
      host: context.config.name,
      container: subject.container,
      epoch: context.epoch,
    });
  return requirePhase(await readEntry('clean', context), 'DISCARDED', context);
}

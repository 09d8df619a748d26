/**
 * Takes back what a migration made on the target, and nothing else. Also after a crash, also twice.
 *
 * INVARIANTS
 * - A container is destroyed only if a restore was ordered and its processes are younger than that order.
 * - The network is removed only if the journal says that it was about to be built.
 * - The bundle is removed only if it was not there before. Nothing is deleted through a mount.
 */
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { forgetAttaching } from './attaching.ts';
import { removeCopy } from './copy-end.ts';
import { removeVolatile } from './images-room.ts';

/** Everything of that entry is gone when it resolves. The entry itself is the caller's business. */
export async function undoTarget(entry: JournalEntry, context: StepContext): Promise<void> {
  await context.receiver.forget(entry.migration);
  await removeCopy(entry, context);
  await forgetAttaching(entry, context);
  await context.network.remove(entry.network, context.signal);
  await removeVolatile(entry.migration, context);
  if (!entry.bundleExisted) await context.machine.files.removeTree(entry.bundle);
}

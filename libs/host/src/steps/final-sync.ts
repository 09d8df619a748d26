/**
 * Step `final-sync`: the files that changed since `sync-files`, then the word to restore. Inside the blackout.
 *
 * INVARIANT: that the word may have been said is journalled before it is: a source that has not said it knows that no copy is held.
 */
import { record, requireEntry } from './entry.ts';
import { carryFiles } from './files-ahead.ts';
import { linkTo } from './link-to.ts';
import { recall, remember } from './outcomes.ts';
import type { Step } from './step.ts';

export const finalSync: Step<'final-sync'> = async ({ subject, route, carry }, context) => {
  const entry = await requireEntry('final-sync', context, ['FROZEN']);
  const before = await recall(context, 'final-sync');
  if (before !== null) return before;
  const { clock } = context.machine;
  const started = clock.elapsed();
  const link = await linkTo(route, context);
  try {
    const [{ bytes }] = await Promise.all([
      carry ? carryFiles(link, subject.bundle, context.signal) : { bytes: 0 },
      record('final-sync', context, { ...entry, saidGo: true }),
    ]);
    await link.go(context.signal);
    return await remember(context, 'final-sync', { bytes, ms: clock.elapsed() - started });
  } catch (error) {
    link.abandon('the last files could not be carried');
    throw error;
  }
};

/**
 * The wait for the last page of a copy whose memory follows it.
 *
 * INVARIANTS
 * - Until every page is in, images and the frozen source are kept: they are the only way back.
 * - A copy that has lost pages never goes on: its guard kills it, and where the guard was killed as well, this does.
 * - A guard that was killed alone is replaced; meanwhile pages keep coming.
 */
import { CmtError } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { gateDir, lazyDir } from '../places.ts';

/** Milliseconds between two looks: outside the blackout. */
const LOOK_EVERY_MS = 50;

/**
 * Resolves when every page is in; at once for a copy that was complete when it was held.
 * @throws CmtError LAZY_PAGES_LOST; the copy is dead then
 */
export async function memoryComplete(entry: JournalEntry, context: StepContext): Promise<void> {
  while (!(await isComplete(entry, context))) await context.machine.clock.wait(LOOK_EVERY_MS, context.signal);
}

async function isComplete(entry: JournalEntry, context: StepContext): Promise<boolean> {
  const { config, machine, runtimes } = context;
  const directory = lazyDir(config, entry.migration, entry.epoch);
  switch (await machine.lazyPages.state(directory)) {
    case 'absent':
    case 'armed':
    case 'drained':
      return true;
    case 'serving':
      return false;
    case 'unguarded':
      await machine.lazyPages.guardAgain({
        directory,
        gate: gateDir(config, entry.migration, entry.epoch),
      });
      return false;
    case 'abandoned':
      await runtimes.get(entry.runtime).destroy(entry.container, context.signal);
      await machine.lazyPages.noteLost(directory, 'killed together with its guard');
      return false;
    case 'lost':
      throw await pagesLost(entry, context);
  }
}

/** Of a copy that is dead. */
export async function pagesLost(entry: JournalEntry, { machine, config }: StepContext): Promise<CmtError> {
  const { container, peer, migration, epoch } = entry;
  const reason = await machine.lazyPages.whyLost(lazyDir(config, migration, epoch));
  return new CmtError('LAZY_PAGES_LOST', { container, host: config.name, peer, reason, migration });
}

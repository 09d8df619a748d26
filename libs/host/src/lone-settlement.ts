/**
 * A client that started workers over ssh and never came back: what is certain on one host is brought to its end there.
 *
 * INVARIANTS
 * - Only what no decision can touch any more is ended: a target that never held its copy withdraws, a source that never froze, or that
 *   runs on already, closes its entry. Both are written down first, so that a client that does come back finds them refused.
 * - FROZEN, HELD, COMMITTED and RUNNING stay as they are, for the other host or an operator to ask about.
 */
import type { StepContext } from './context.ts';
import type { JournalEntry } from './journal.ts';
import { steps } from './steps/index.ts';

/** Ends an entry, if this host alone may. @returns whether it did */
export async function settleAlone(entry: JournalEntry, context: StepContext): Promise<boolean> {
  const { runtime, container, bundle, network, side } = entry;
  const subject = { runtime, container, bundle };
  switch (entry.phase) {
    case 'PREPARED':
    case 'DISCARDED':
      await steps.discard({ subject, network }, context);
      break;
    case 'SENDING':
      break;
    case 'RESUMED':
      if ((await context.runtimes.get(runtime).state(container, context.signal))?.status !== 'running')
        return false;
      break;
    case 'FROZEN':
    case 'HELD':
    case 'COMMITTED':
    case 'RUNNING':
    case 'RETIRED':
      return false;
  }
  await steps.clean({ side, subject, network, outcome: 'stayed' }, context);
  return true;
}

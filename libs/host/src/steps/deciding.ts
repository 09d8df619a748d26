/** Asking for the write-once decision, for as long as the step's time lasts: a host never chooses by itself (lifecycle H5). */
import type { Decision, Epoch, Resolution } from '@cmt/contracts';
import type { StepContext } from '../context.ts';

/** Milliseconds before the next try; doubled each time. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;

/** Votes COMMIT for this epoch and returns what was decided; asks until Redis answers or the signal aborts. */
export const voteCommit = (context: StepContext): Promise<Decision> =>
  untilAnswered(context, () =>
    context.decisions.settle(context.migration, context.epoch, 'COMMIT', context.signal),
  );

/** Votes ABORT for this epoch and returns what was decided. */
export const voteAbort = (context: StepContext): Promise<Decision> =>
  untilAnswered(context, () =>
    context.decisions.settle(context.migration, context.epoch, 'ABORT', context.signal),
  );

/** The decision of an epoch, or null while there is none; asks until Redis answers or the signal aborts. */
export const readDecision = (context: StepContext, epoch: Epoch): Promise<Decision | null> =>
  untilAnswered(context, () => context.decisions.read(context.migration, epoch, context.signal));

/** What an operator has said about this migration, or null; asks until Redis answers or the signal aborts. */
export const readResolution = (context: StepContext): Promise<Resolution | null> =>
  untilAnswered(context, () => context.decisions.resolution(context.migration, context.signal));

async function untilAnswered<T>(context: StepContext, ask: () => Promise<T>): Promise<T> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    context.signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      context.signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      context.tell({ kind: 'warning', text: `the decision cannot be asked for: ${reason}` });
    }
    await context.machine.clock.wait(pause, context.signal);
  }
}

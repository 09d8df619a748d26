/** The way back, the way out, and the one case in which a way back becomes a way forward. Pure. */
import type { Failure, MigrationState } from '@cmt/contracts';
import { reactionTo } from '@cmt/contracts';
import { MAX_EPOCHS } from './limits.ts';
import { enter, nextEpoch, type Saga } from './state.ts';

/** The end. */
export const stopWith = (
  saga: Saga,
  end: MigrationState,
  at: number,
  failure: Failure | null = saga.failure,
): Saga => enter(saga, 'end', { end, failure, endedAt: at });

/** Turns back because of a failure: to another try of the hand-over where one may help, else to the end. */
export function turnBack(saga: Saga, failure: Failure, at: number): Saga {
  const again =
    saga.switching && reactionTo(failure) === 'retry' && saga.epoch - saga.passedOver.length < MAX_EPOCHS;
  return intoUndo({ ...saga, failure, retrying: again }, at);
}

/** Begins the undo, or ends at once where nothing was made yet. */
export function intoUndo(saga: Saga, at: number): Saga {
  if (!saga.touched) return stopWith(saga, saga.cancelled === null ? 'refused' : 'cancelled', at);
  return enter(saga, 'abort');
}

/** The target owns the container after all: what looked like a failure was a lost answer. */
export const forward = (saga: Saga): Saga =>
  enter(saga, 'release', { decision: 'COMMIT', failure: null, cancelled: null, retrying: false });

/** The target is out of it: a frozen source may run on. */
export const afterDiscard = (saga: Saga): Saga =>
  saga.switching ? enter(saga, 'resume') : afterResume(saga);

/** The source runs. Another try, or the end of it. */
export function afterResume(saga: Saga): Saga {
  if (saga.retrying) return nextEpoch(saga);
  return enter(saga, saga.fenced === null ? 'clean-up' : 'conclude');
}

/**
 * What an operator's word makes of a saga that nobody could decide. Pure.
 *
 * INVARIANTS
 * - The word stands in the record before anything runs because of it, and until the fenced side has been seen to obey it.
 * - Nothing is asked of the fenced side; what it still holds it takes away by itself when it is back.
 * - A word that finds nothing to run on is taken back: the saga waits as before.
 */
import type { Failure, Side } from '@cmt/contracts';
import { enter, type Saga } from './state.ts';
import { stopWith } from './turning.ts';

/** The saga after the word. One that does not wait for it is left as it is. */
export function resolve(saga: Saga, fenced: Side): Saga {
  if (saga.end !== 'needs-operator' || saga.inspection === null) return saga;
  return enter(saga, 'resolve', {
    fenced,
    resolutions: saga.resolutions + 1,
    retrying: false,
    failure: fenced === 'source' ? null : goesBack(saga),
    end: null,
    endedAt: null,
    cleaned: { source: fenced === 'source', target: fenced === 'target' },
  });
}

const goesBack = ({ request, inspection }: Saga): Failure => ({
  code: 'RESOLVED',
  details: {
    host: request.target,
    other: request.source,
    container: inspection?.container ?? request.container ?? '',
  },
});

/** The word is on record, is marked as done with, or is gone from it. */
export function recorded(saga: Saga, at: number): Saga {
  switch (saga.stage) {
    case 'resolve':
      return enter(saga, saga.fenced === 'target' ? 'resume' : 'release');
    case 'conclude':
      return enter(saga, saga.fenced === 'target' ? 'clean-up' : 'clean');
    case 'withdraw':
      return stopWith(saga, 'needs-operator', at);
    default:
      return saga;
  }
}

/** The side that is left says that it has no copy: a word that cannot be followed. */
export const isNothingToRunOn = (saga: Saga, failure: Failure): boolean =>
  failure.code === 'COPY_GONE' &&
  saga.fenced !== null &&
  (saga.stage === 'resume' || saga.stage === 'release');

/** A target that was left open: the one that was found, and the next one when it could not take the container. Pure. */
import { UNPLACED, type Failure } from '@cmt/contracts';
import { enter, type Placement, type Saga } from './state.ts';

/** The saga with the target that was found for it. */
export const placedAt = (saga: Saga, placement: Placement): Saga => ({
  ...saga,
  placement,
  request: { ...saga.request, target: placement.host },
});

/**
 * Looks for another target, one epoch later; null where the request names its own. Nothing was made on the one that is passed over: it
 * was asked and no more.
 */
export function passOver(saga: Saga, failure: Failure): Saga | null {
  const { request, placement, passedOver } = saga;
  if (request.place === undefined || placement === null || saga.cancelled !== null) return null;
  return enter(saga, 'look-up', {
    ...{ epoch: saga.epoch + 1, target: null, survey: null, placement: null },
    passedOver: [...passedOver, { host: placement.host, failure }],
    request: { ...request, target: UNPLACED },
  });
}

/**
 * A saga that was read from a Redis which may have lost its last writes: the container may stand frozen already, whatever
 * stage is stored. Its way back lets the source run on, as one from a hand-over does. Pure.
 */
import { canTurnBack, type Journals, type Saga } from './state.ts';

/** Nothing changes for one that has come to its decision, and for one that has not looked at its container yet. */
export function perhapsBehind(saga: Saga): Saga {
  const isPlain = saga.inspection === null || saga.request.options.validateOnly;
  return isPlain || !canTurnBack(saga) ? saga : { ...saga, touched: true, switching: true };
}

/**
 * Whether its hosts have begun a hand-over that it knows nothing of. They answer what it asks as they answered then, or call it stale:
 * only their journals say how it stands.
 */
export const isBehind = ({ epoch }: Saga, { source, target }: Journals): boolean =>
  Math.max(source?.epoch ?? 0, target?.epoch ?? 0) > epoch;

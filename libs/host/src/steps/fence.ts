/**
 * An operator's word that one side is fenced, as the steps of the two sides obey it (lifecycle H8).
 *
 * INVARIANTS
 * - A side that was declared fenced runs nothing any more, whatever its journal says.
 * - The other side goes on against the decision only with that word on record, never on a leg alone.
 */
import { CmtError, type Side, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { readResolution } from './deciding.ts';

interface Asked {
  readonly step: string;
  readonly side: Side;
  readonly container: string;
}

/** @throws CmtError FENCED_OFF when this side was declared fenced. Waits while Redis does not answer. */
export async function requireNotFenced(
  { step, side, container }: Asked,
  context: StepContext,
): Promise<void> {
  if ((await readResolution(context))?.fenced !== side) return;
  throw new CmtError('FENCED_OFF', { host: context.config.name, step, container });
}

/** @throws CmtError NOT_ABORTED when nobody has declared the other side fenced. Waits while Redis does not answer. */
export async function requirePeerFenced(
  { side, container }: Omit<Asked, 'step'>,
  context: StepContext,
): Promise<void> {
  const resolution = await readResolution(context);
  if (resolution !== null && resolution.fenced !== side) return;
  throw new CmtError('NOT_ABORTED', { host: context.config.name, container, epoch: context.epoch });
}

/** The answer of a side that has nothing to run on with: the word finds nothing, and nothing is changed. */
export const copyGone = ({ container }: Pick<Subject, 'container'>, context: StepContext, reason: string) =>
  new CmtError('COPY_GONE', { host: context.config.name, container, reason });

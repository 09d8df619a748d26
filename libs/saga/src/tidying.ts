/**
 * A migration that has ended while one of its hosts could not be asked: what that host still holds is cleaned away once it is
 * back, and the migration's end stays what it was (lifecycle H7). Pure.
 */
import type { MigrationState } from '@cmt/contracts';
import { enter, type Journals, type Saga } from './state.ts';

/** The ends after which both hosts have nothing left to do but to clean. */
const TIDY: readonly MigrationState[] = ['done', 'rolled-back', 'cancelled'];

/** Whether it is being tidied up: a stage of its own in all but name. */
export const isTidying = ({ tidying, stage }: Saga): boolean =>
  tidying !== undefined && (stage === 'clean' || stage === 'clean-up');

/** The ended saga, cleaning again on each side whose journal is still open; itself where nothing is open or more is at stake. */
export function tidied(saga: Saga, { source, target }: Journals): Saga {
  const { end } = saga;
  const cleaned = { source: source?.closed !== false, target: target?.closed !== false };
  if (end === null || !TIDY.includes(end) || (cleaned.source && cleaned.target)) return saga;
  const round = (saga.tidying?.round ?? 0) + 1;
  return enter(saga, end === 'done' ? 'clean' : 'clean-up', { end: null, cleaned, tidying: { end, round } });
}

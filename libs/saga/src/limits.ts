/** How long and how often, in one place. Milliseconds. */
import type { StepName } from '@cmt/contracts';
import { rateOf } from './rates.ts';
import { isLazy, isPostCopy } from './restoring.ts';
import type { Saga, Stage } from './state.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Time limits of steps that do not grow with the container. */
const FIXED: Record<StepName, number> = {
  inspect: 30 * SECOND,
  validate: 30 * SECOND,
  prepare: 30 * SECOND,
  'sync-files': 2 * MINUTE,
  'pre-dump': MINUTE,
  'freeze-and-dump': MINUTE,
  'final-sync': MINUTE,
  'restore-and-hold': 2 * MINUTE,
  release: 30 * SECOND,
  confirm: 10 * SECOND,
  retire: 30 * SECOND,
  clean: 30 * SECOND,
  discard: 30 * SECOND,
  resume: 30 * SECOND,
  hook: 0,
  // No migration asks for it.
  doctor: 0,
};

/** The slowest link and disk that count as working, in bytes per millisecond (10 MB/s). */
const SLOWEST = 10_000;
/** The same of pages that follow a busy container from another host. */
const SLOWEST_PAGES = 2_000;
/** Of a migration that may take less than that: its share may become smaller while a step runs, by so much at most. */
const SHRINKS = 4;
const slowest = (saga: Saga): number => Math.min(SLOWEST, rateOf(saga) / SECOND / SHRINKS);

/** Steps that can be given up: what undoes them and what comes after the decision is never cut short by anybody's wish. */
const CAPPED: readonly StepName[] = [
  'inspect',
  'validate',
  'prepare',
  'sync-files',
  'pre-dump',
  'freeze-and-dump',
  'final-sync',
  'restore-and-hold',
];

/** How long a step may take for this container, and in this migration. */
export function timeLimit(step: StepName, saga: Saga): number {
  const cap = CAPPED.includes(step) ? saga.request.options.stepTimeoutMs : undefined;
  return Math.min(cap ?? Infinity, ownLimit(step, saga));
}

function ownLimit(step: StepName, saga: Saga): number {
  const memory = saga.inspection?.memory ?? 0;
  const files = saga.inspection?.files ?? 0;
  switch (step) {
    case 'sync-files':
    case 'final-sync':
      return FIXED[step] + files / slowest(saga);
    case 'pre-dump':
    case 'freeze-and-dump':
      return FIXED[step] + memory / slowest(saga);
    case 'restore-and-hold':
      return FIXED[step] + (memory + files) / slowest(saga);
    case 'confirm':
      // Of a copy whose memory follows it waits for the last page.
      return (
        FIXED[step] + saga.request.options.confirmForMs + (isLazy(saga) ? memory / slowestPages(saga) : 0)
      );
    default:
      return FIXED[step];
  }
}

/** Pages that are asked for one by one, by a container that touches them all (criu #2171), or as slowly as they are allowed to come. */
const slowestPages = (saga: Saga): number =>
  isPostCopy(saga) ? Math.min(SLOWEST_PAGES, slowest(saga)) : SLOWEST;

/** How long nobody may be seen working on a leg: before it is begun, and after it was. */
export interface Patience {
  readonly pickUpMs: number;
  readonly lostAfterMs: number;
}

/**
 * Longer than a crashed worker needs to be back (measured: 9.5 to 14.2 s). Short where the source stands frozen meanwhile:
 * Redis may answer in the target's stead, and a switch can be tried again.
 */
export function patience({ stage, rebuilt }: Pick<Saga, 'stage' | 'rebuilt'>): Patience {
  // Nobody can answer in the target's stead, so it is waited for.
  if (stage === 'discard' && rebuilt !== undefined) return { pickUpMs: MINUTE, lostAfterMs: 20 * SECOND };
  if (stage === 'discard') return { pickUpMs: 3 * SECOND, lostAfterMs: 3 * SECOND };
  if (stage === 'switch' || stage === 'restore') return { pickUpMs: 10 * SECOND, lostAfterMs: 6 * SECOND };
  return { pickUpMs: 20 * SECOND, lostAfterMs: 20 * SECOND };
}

/** Tries of a stage before its failure counts. A switch freezes the container, so it gets one more try only. */
const TRIES: Partial<Record<Stage, number>> = {
  'look-up': 1,
  inspect: 2,
  validate: 2,
  prepare: 2,
  'sync-files': 3,
  'pre-dump': 2,
  discard: 1,
  resume: 30,
  'clean-up': 3,
  release: 30,
  confirm: 5,
  retire: 30,
  clean: 5,
};
export const triesOf = (stage: Stage): number => TRIES[stage] ?? 1;

/** Hand-overs that are tried before a failing migration is rolled back for good. */
export const MAX_EPOCHS = 2;

/** Pause before try `n` + 1: 0.25 s, doubled each time, at most 5 s. */
export const backOff = (n: number): number => Math.min(5 * SECOND, 250 * 2 ** (n - 1));

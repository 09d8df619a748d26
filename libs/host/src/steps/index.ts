/** All steps of a host by name, each taking its turn: one step of a migration at a time (see turns.ts). */
import type { Epoch, Resolution, StepName } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { clean } from './clean.ts';
import { confirm } from './confirm.ts';
import { discard } from './discard.ts';
import { doctor } from './doctor.ts';
import { fencedOff } from './fenced-off.ts';
import { finalSync } from './final-sync.ts';
import { freezeAndDump } from './freeze-and-dump.ts';
import { hook } from './hook.ts';
import { inspect } from './inspect.ts';
import { perHost } from './per-host.ts';
import { preDump } from './pre-dump.ts';
import { prepare } from './prepare.ts';
import { release } from './release.ts';
import { restoreAndHold } from './restore-and-hold.ts';
import { resume } from './resume.ts';
import { retire } from './retire.ts';
import { runOnWithoutRedis } from './run-on.ts';
import type { Step, Steps } from './step.ts';
import { syncFiles } from './sync-files.ts';
import { Turns } from './turns.ts';
import { validate } from './validate.ts';
import { withdraw } from './withdraw.ts';

const turnsOf = perHost(() => new Turns());

/** Steps that take something back: they stop what is under way. */
const UNDO: readonly StepName[] = ['discard', 'resume', 'clean'];

function inTurn<N extends StepName>(name: N, step: Step<N>): Step<N> {
  return (input, context) => {
    const { migration, epoch, signal, journal } = context;
    return turnsOf(journal).take({ migration, epoch, signal, undo: UNDO.includes(name) }, (own) =>
      step(input, { ...context, signal: own }),
    );
  };
}

/** What a fenced side does when it is back, in its turn like a step. */
export const settleFenced = (entry: JournalEntry, resolution: Resolution, context: StepContext) => {
  const { migration, epoch, signal, journal } = context;
  return turnsOf(journal).take({ migration, epoch, signal, undo: true }, (own) =>
    fencedOff(entry, resolution, { ...context, signal: own }),
  );
};

/** The target's answer to a source that asks without Redis, in its turn like an undo. */
export const withdrawFrom = (asked: Epoch, context: StepContext) => {
  const { migration, epoch, signal, journal } = context;
  return turnsOf(journal).take({ migration, epoch, signal, undo: true }, (own) =>
    withdraw(asked, { ...context, signal: own }),
  );
};

/** A frozen source that cannot reach Redis, in its turn like an undo. */
export const runOn = (context: StepContext) => {
  const { migration, epoch, signal, journal } = context;
  return turnsOf(journal).take({ migration, epoch, signal, undo: true }, (own) =>
    runOnWithoutRedis({ ...context, signal: own }),
  );
};

export const steps: Steps = {
  inspect: inTurn('inspect', inspect),
  validate: inTurn('validate', validate),
  prepare: inTurn('prepare', prepare),
  'sync-files': inTurn('sync-files', syncFiles),
  'pre-dump': inTurn('pre-dump', preDump),
  'freeze-and-dump': inTurn('freeze-and-dump', freezeAndDump),
  'final-sync': inTurn('final-sync', finalSync),
  'restore-and-hold': inTurn('restore-and-hold', restoreAndHold),
  release: inTurn('release', release),
  confirm: inTurn('confirm', confirm),
  retire: inTurn('retire', retire),
  clean: inTurn('clean', clean),
  discard: inTurn('discard', discard),
  resume: inTurn('resume', resume),
  hook: inTurn('hook', hook),
  doctor,
};

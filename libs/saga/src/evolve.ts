/**
 * What an event makes of a saga. Pure; the only place where a saga moves from stage to stage.
 *
 * INVARIANTS
 * - Before the decision every failure leads to `abort`; after it the saga goes forward only.
 * - `resume` is entered only after ABORT is on record, and after the target has said so itself or an unbroken Redis
 *   stands in for it (lifecycle H2, H6).
 * - After the end only an operator's word moves a saga, and only one that waits for it.
 * - An answer to a task that is no longer asked for changes nothing.
 */
import type { Failure, HookOutcome, StepName, StepOutput, StepResult } from '@cmt/contracts';
import { HookName, messageOf, reactionTo, Tuning } from '@cmt/contracts';
import { decide } from './decide.ts';
import { backOff, triesOf } from './limits.ts';
import { rebuilt } from './rebuilt.ts';
import { passOver, placedAt } from './placing.ts';
import { isNothingToRunOn, recorded, resolve } from './resolving.ts';
import { advance, afterHook } from './stages.ts';
import { canTurnBack, enter, isCommitted, type Saga, type SagaEvent } from './state.ts';
import { afterDiscard, forward, intoUndo, stopWith, turnBack } from './turning.ts';

/** The saga after an event. */
export function evolve(saga: Saga, event: SagaEvent): Saga {
  if (saga.stage === 'end') return event.kind === 'resolve' ? resolve(saga, event.fenced) : saga;
  switch (event.kind) {
    case 'looked-up':
      return saga.stage === 'look-up' ? lookedUp(saga, event) : saga;
    case 'look-up-failed':
      return saga.stage === 'look-up' ? stopWith(saga, 'refused', event.at, event.failure) : saga;
    case 'must-wait':
      return mustWait(saga, event.reason);
    case 'tune':
      return tuned(saga, event.tuning);
    case 'cancel':
      return cancel(saga, event.reason, event.at);
    case 'settled':
      return event.epoch === saga.epoch ? settled(saga, event.decision) : saga;
    case 'continuity':
      return saga.stage === 'ask-continuity' ? continuity(saga, event.unbroken, event.at) : saga;
    case 'resolve':
      return saga;
    case 'recorded':
      return recorded(saga, event.at);
    case 'hook-ended':
      return isAskedFor(saga, event.task) ? afterHook(saga, event.outcome, event.at) : saga;
    case 'leg-lost':
      return isAskedFor(saga, event.task)
        ? failed(reported(saga, event.task, []), event.failure, event.at, event.task)
        : saga;
    case 'leg-ended':
      return isAskedFor(saga, event.task)
        ? legEnded(saga, event.task, event.results, event.at)
        : lateFigures(saga, event.task, event.results);
  }
}

/** A migration that its hosts have in their journals was begun before, and is not begun again. */
function lookedUp(saga: Saga, event: Extract<SagaEvent, { kind: 'looked-up' }>): Saga {
  const { source, target, continuityMark, journals, at } = event;
  if (journals !== undefined && (journals.source !== null || journals.target !== null))
    return rebuilt(saga.request, journals, at, { options: false });
  const placed = event.placed === undefined ? saga : placedAt(saga, event.placed);
  // What was waited for is no part of how long it took.
  const startedAt = saga.waitsFor === null ? saga.startedAt : at;
  const known = { source, target, continuityMark, waitsFor: null, startedAt };
  return enter(placed, saga.inspection === null ? 'inspect' : 'validate', known);
}

/** What was asked for stays as it was asked for: the changes stand beside it. */
const tuned = (saga: Saga, tuning: Tuning): Saga =>
  TUNED.every((field) => saga.tuning?.[field] === tuning[field]) ? saga : { ...saga, tuning };
const TUNED = Object.keys(Tuning.shape) as (keyof Tuning)[];

/** Said once: an answer that tells nothing new changes nothing. */
const mustWait = (saga: Saga, reason: string): Saga =>
  saga.stage === 'look-up' && saga.waitsFor !== reason ? { ...saga, waitsFor: reason } : saga;

const isAskedFor = (saga: Saga, task: string): boolean =>
  decide(saga).some(
    (command) => (command.kind === 'leg' || command.kind === 'hook') && command.task === task,
  );

function legEnded(saga: Saga, task: string, results: readonly StepResult[], at: number): Saga {
  const noted = results.reduce(learn, reported(saga, task, results));
  const failure = results.find(({ ok }) => !ok);
  if (failure !== undefined && 'failure' in failure) return failed(noted, failure.failure, at, task);
  const hook = results.find(({ step }) => step === 'hook');
  if (hook !== undefined && 'output' in hook)
    return afterHook(noted, (hook.output as StepOutput<'hook'>).outcome, at);
  return advance(noted, task, at);
}

/** The source's leg of a switch may end after the target's answer: its figures still belong in the report. */
function lateFigures(saga: Saga, task: string, results: readonly StepResult[]): Saga {
  if (!isCommitted(saga) || task !== `freeze-and-dump.${saga.epoch}.1` || saga.outcome.files !== null)
    return saga;
  return results.reduce(learn, reportedOn(saga, saga.request.source, 1, results));
}

/** Adds the steps of a leg to the report. */
function reported(saga: Saga, task: string, results: readonly StepResult[]): Saga {
  const command = decide(saga).find((c) => c.kind === 'leg' && c.task === task);
  return command?.kind === 'leg' ? reportedOn(saga, command.host, command.try, results) : saga;
}

function reportedOn(saga: Saga, host: string, attempt: number, results: readonly StepResult[]): Saga {
  const plain = results.filter(({ step }) => step !== 'hook');
  return {
    ...saga,
    steps: [...saga.steps, ...plain.map(({ step, ok, ms }) => ({ name: step, host, try: attempt, ok, ms }))],
  };
}

/** Keeps what a step found out. */
function learn(saga: Saga, result: StepResult): Saga {
  if (!result.ok) return saga;
  const learned = lessons[result.step];
  return learned === undefined ? saga : { ...saga, ...learned(saga, result.output as never) };
}

type Lessons = { readonly [N in StepName]?: (saga: Saga, output: StepOutput<N>) => Partial<Saga> };

const lessons: Lessons = {
  inspect: (_, { inspection, facts, findings }) => ({ inspection, sourceFacts: facts, findings }),
  validate: (_, { survey }) => ({ survey }),
  prepare: (saga, { endpoint }) => ({ target: saga.target && { ...saga.target, endpoint } }),
  'pre-dump': (saga, { figures }) => ({ rounds: [...saga.rounds, figures] }),
  'freeze-and-dump': (saga, dump) => ({ outcome: { ...saga.outcome, dump } }),
  'final-sync': (saga, files) => ({ outcome: { ...saga.outcome, files } }),
  'restore-and-hold': (saga, restore) => ({ outcome: { ...saga.outcome, restore } }),
  release: (saga, release) => ({ outcome: { ...saga.outcome, release }, decision: release.decision }),
  discard: (_, { decision }) => ({ decision }),
};

/** A step failed, or nobody answered. */
function failed(saga: Saga, failure: Failure, at: number, task: string): Saga {
  // It died with its host: what is left of the migration goes away, and a person is told.
  if (failure.code === 'CONTAINER_LOST') return enter(saga, 'clean-up', { failure, retrying: false });
  if (saga.stage === 'discard') return discardUnanswered(saga, failure, at);
  if (isHookStage(saga.stage)) return afterHook(saga, hookThatFailed(saga.stage, failure), at, failure);
  if (saga.stage === 'clean' || saga.stage === 'clean-up') return cleanFailed(saga, failure, at, task);
  if (isNothingToRunOn(saga, failure)) return enter(saga, 'withdraw', { failure, fenced: null });
  if (isEcho(saga, failure, task)) return { ...saga, outcome: { ...saga.outcome, broken: failure } };
  const again = retried(saga, failure, at);
  if (again !== null) return again;
  if (saga.stage === 'validate') return passOver(saga, failure) ?? turnBack(saga, failure, at);
  if (isCommitted(saga) || saga.stage === 'resume') return stopWith(saga, 'needs-operator', at, failure);
  if (!canTurnBack(saga)) return stopWith(saga, 'needs-operator', at, failure);
  return turnBack(saga, failure, at);
}

/** The armed target sees a failing source as a broken transfer; the source, still under way, knows why. */
const isEcho = (saga: Saga, failure: Failure, task: string): boolean =>
  saga.stage === 'switch' &&
  failure.code === 'TRANSFER_BROKEN' &&
  task.startsWith('restore-and-hold') &&
  saga.outcome.files === null;

/** The same stage once more, if its failure may pass and tries are left. */
function retried(saga: Saga, failure: Failure, at: number): Saga | null {
  const reaction = reactionTo(failure);
  const mayPass = reaction === 'retry' || isCommitted(saga) || saga.stage === 'resume';
  const tries = saga.tries + 1;
  if (!mayPass || reaction === 'operator' || tries >= triesOf(saga.stage)) return null;
  return { ...saga, tries, notBefore: at + backOff(tries) };
}

/** Before the decision a cancel turns the migration back; on a way back that leads to another try it makes it final. */
function cancel(saga: Saga, reason: string, at: number): Saga {
  const failure: Failure = { code: 'CANCELLED', details: { reason } };
  if (canTurnBack(saga)) return intoUndo({ ...saga, failure, cancelled: reason, retrying: false }, at);
  return saga.retrying ? { ...saga, failure, cancelled: reason, retrying: false } : saga;
}

/** The write-once record is known. COMMIT means that the target was quicker: forward. */
function settled(saga: Saga, decision: 'COMMIT' | 'ABORT'): Saga {
  switch (saga.stage) {
    // Whatever the record says by now: the target's journal has spoken, and the source asks the record itself.
    case 'record-commit':
      return enter(saga, 'retire');
    case 'record-abort':
      return afterDiscard(saga);
    case 'abort':
      return decision === 'COMMIT' ? forward(saga) : enter({ ...saga, decision }, 'discard');
    default:
      return saga;
  }
}

/** The target cannot be asked. Where it never could have held a copy, or Redis lost nothing, ABORT stands by itself. */
function discardUnanswered(saga: Saga, failure: Failure, at: number): Saga {
  if (reactionTo(failure) === 'operator') return stopWith(saga, 'needs-operator', at, failure);
  return saga.switching ? enter(saga, 'ask-continuity') : afterDiscard(saga);
}

function continuity(saga: Saga, unbroken: boolean, at: number): Saga {
  if (unbroken) return afterDiscard(saga);
  const { container, target } = saga.request;
  const details = { host: target, container: saga.inspection?.container ?? container ?? '' };
  return stopWith(saga, 'needs-operator', at, { code: 'UNDECIDED', details });
}

/** Cleaning is tried again; in the end it is reported, and the migration is what it is. */
function cleanFailed(saga: Saga, failure: Failure, at: number, task: string): Saga {
  const tries = saga.tries + 1;
  if (tries < triesOf(saga.stage)) return { ...saga, tries, notBefore: at + backOff(tries) };
  return advance(
    { ...saga, failure: saga.failure ?? failure, cleaned: { source: true, target: true } },
    task,
    at,
  );
}

const isHookStage = (stage: Saga['stage']): stage is HookName =>
  HookName.options.some((name) => name === stage);

const hookThatFailed = (name: HookName, failure: Failure): HookOutcome => ({
  name,
  ok: false,
  code: null,
  output: messageOf(failure),
  ms: 0,
});

/** From each stage to the next, when its work has ended well. Pure. */
import type { Failure, HookName, HookOutcome, MigrationOptions } from '@cmt/contracts';
import { converge, convergeWithoutRounds, roundsImpossible, type Verdict } from './converge.ts';
import { hooksOf } from './decide.ts';
import { blocking, judge } from './judge.ts';
import { passOver } from './placing.ts';
import type { Measured } from './predict.ts';
import { isLazyWithoutRounds } from './restoring.ts';
import { enter, type Saga } from './state.ts';
import { afterDiscard, afterResume, forward, stopWith, turnBack } from './turning.ts';

/** The saga after the leg `task` of its stage ended well. */
export function advance(saga: Saga, task: string, at: number): Saga {
  switch (saga.stage) {
    case 'inspect':
      return enter(saga, 'validate');
    case 'validate':
      return judged(saga, at);
    case 'prepare':
      return saga.request.options.sharedRootfs ? intoRounds(saga, at) : enter(saga, 'sync-files');
    case 'sync-files':
      return intoRounds(saga, at);
    case 'pre-dump':
      return afterRound(saga, at);
    case 'switch':
    case 'restore':
      return switched(saga, at);
    case 'dump':
      return enter(saga, 'pre-restore');
    case 'release':
      return released(saga, at);
    case 'confirm':
      return hooked(saga, 'post-restore', at);
    case 'retire':
      return enter(saga, 'clean');
    case 'clean':
    case 'clean-up':
      return cleaned(saga, task, at);
    case 'discard':
      return discarded(saga);
    case 'resume':
      return afterResume(saga);
    default:
      return saga;
  }
}

/** The saga after a hook. Only those before the decision can stop a migration; later ones are reported. */
export function afterHook(
  saga: Saga,
  outcome: HookOutcome,
  at: number,
  failure: Failure = hookFailure(outcome),
): Saga {
  const noted = {
    ...saga,
    hooks: [...saga.hooks, outcome],
    hooksRun: saga.hooksRun + 1,
    steps: [...saga.steps, hookStep(outcome)],
  };
  if (!outcome.ok && (outcome.name === 'pre-freeze' || outcome.name === 'pre-restore'))
    return turnBack(noted, failure, at);
  if (noted.hooksRun < hooksOf(noted, outcome.name).length) return noted;
  return afterHooks(noted, outcome.name, at);
}

/** Enters the stage of these hooks, or passes it when there are none. */
function hooked(saga: Saga, name: HookName, at: number): Saga {
  return hooksOf(saga, name).length > 0 ? enter(saga, name) : afterHooks(saga, name, at);
}

function afterHooks(saga: Saga, name: HookName, at: number): Saga {
  switch (name) {
    case 'pre-freeze':
      return enter(saga, hooksOf(saga, 'pre-restore').length > 0 ? 'dump' : 'switch', { switching: true });
    case 'pre-restore':
      return enter(saga, 'restore');
    case 'post-restore':
      return enter(saga, saga.fenced === null ? 'record-commit' : 'conclude');
    case 'failed-restore':
      return hooked(saga, 'rolled-back', at);
    case 'rolled-back':
      return stopWith(saga, saga.cancelled === null ? 'rolled-back' : 'cancelled', at);
  }
}

function judged(saga: Saga, at: number): Saga {
  const { inspection, sourceFacts, survey, request } = saga;
  if (inspection === null || sourceFacts === null || survey === null) return saga;
  const findings = [
    ...saga.findings,
    ...judge({ options: request.options, inspection, source: sourceFacts, survey }),
  ];
  const against = blocking(findings, request.options.force);
  const known = { ...saga, findings };
  if (against.length > 0) {
    const failure = refusal(against, inspection.container, request.target);
    const isTheSource = against.some(({ host }) => host === request.source);
    const next = isTheSource ? null : passOver(saga, failure);
    return next ?? stopWith(known, 'refused', at, failure);
  }
  if (request.options.validateOnly) return stopWith(known, 'validated', at);
  return enter(known, 'prepare', { touched: true });
}

const refusal = (against: readonly { code: string }[], container: string, host: string): Failure => ({
  code: 'VALIDATION_REFUSED',
  details: {
    count: against.length,
    codes: [...new Set(against.map(({ code }) => code))].join(', '),
    container,
    host,
  },
});

function intoRounds(saga: Saga, at: number): Saga {
  if (saga.sourceFacts === null) return saga;
  const why = roundsImpossible(saga.request.options, saga.sourceFacts);
  if (why === null) return afterRound(saga, at);
  return goOn(saga, convergeWithoutRounds(why, measuredOf(saga), optionsNow(saga)), at);
}

/** Zero rounds so far or some: the converge rule says whether another helps. */
const afterRound = (saga: Saga, at: number): Saga =>
  goOn(saga, converge(measuredOf(saga), optionsNow(saga)), at);

function goOn(saga: Saga, verdict: Verdict, at: number): Saga {
  switch (verdict.next) {
    case 'round':
      return enter(saga, 'pre-dump');
    case 'abort':
      return turnBack({ ...saga, predicted: verdict.predicted }, verdict.failure, at);
    case 'switch':
    case 'post-copy': {
      const follows = verdict.next === 'post-copy' ? { postCopy: true } : {};
      return intoSwitch({ ...saga, ...follows, roundsNote: verdict.note, predicted: verdict.predicted });
    }
  }
}

/** As they were asked for, with the budget as it was changed since. */
const optionsNow = ({ request: { options }, tuning }: Saga): MigrationOptions =>
  tuning?.maxDowntimeMs === undefined ? options : { ...options, maxDowntimeMs: tuning.maxDowntimeMs };

function measuredOf(saga: Saga): Measured {
  const { rounds, request, inspection, sourceFacts, survey } = saga;
  return {
    rounds,
    memory: inspection?.memory ?? 0,
    postCopy: request.options.mode === 'post-copy',
    lazyRestore: isLazyWithoutRounds(saga),
    sharedFiles: request.options.sharedRootfs,
    sourceCosts: sourceFacts?.costs ?? { dump: [], files: [] },
    targetCosts: survey?.facts.costs ?? { restore: [] },
  };
}

const intoSwitch = (saga: Saga): Saga => hooked(saga, 'pre-freeze', saga.startedAt);

/** One leg of the switch ended well. The target's tells the decision; the source's alone decides nothing. */
function switched(saga: Saga, at: number): Saga {
  const { release, broken } = saga.outcome;
  if (release === null) return broken === null ? saga : turnBack(saga, broken, at);
  if (release.decision === 'COMMIT') return enter(saga, 'confirm');
  return turnBack(saga, { code: 'CANCELLED', details: { reason: 'ABORT was on record' } }, at);
}

function released(saga: Saga, at: number): Saga {
  if (saga.decision === 'COMMIT') return enter(saga, 'confirm');
  const { target, container } = saga.request;
  return stopWith(saga, 'needs-operator', at, {
    code: 'UNDECIDED',
    details: { host: target, container: container ?? '' },
  });
}

/** The target has said what it is. A Redis that had forgotten the migration is told so before anybody asks it. */
function discarded(saga: Saga): Saga {
  if (saga.decision === 'COMMIT') return forward(saga);
  return saga.rebuilt === undefined ? afterDiscard(saga) : enter(saga, 'record-abort');
}

function cleaned(saga: Saga, task: string, at: number): Saga {
  const side = task.startsWith('clean-source') ? 'source' : 'target';
  const both = { ...saga, cleaned: { ...saga.cleaned, [side]: true } };
  if (!both.cleaned.source || !both.cleaned.target) return both;
  if (both.tidying !== undefined) return enter(both, 'end', { end: both.tidying.end });
  if (saga.stage === 'clean') return stopWith(both, 'done', at);
  if (both.failure?.code === 'CONTAINER_LOST') return stopWith(both, 'needs-operator', at);
  return both.cancelled === null ? hooked(both, 'failed-restore', at) : hooked(both, 'rolled-back', at);
}

const hookStep = ({ name, ok, ms }: HookOutcome) => ({ name, host: 'coordinator', try: 1, ok, ms });

const hookFailure = ({ name, code, output }: HookOutcome): Failure => ({
  code: 'HOOK_FAILED',
  details: { hook: name, code: code ?? 'a signal', output: output.slice(-500) },
});

/**
 * What should be under way now: state in, commands out. Pure, and the same for the same state, so that a coordinator
 * that takes a migration over finds the very commands (and ids) of the one before it.
 */
import type {
  Decision,
  Epoch,
  Hook,
  HookName,
  HostName,
  MigrationState,
  Resolution,
  StepCall,
  StepName,
} from '@cmt/contracts';
import { HookName as HookNames } from '@cmt/contracts';
import { call, cleanCall, hookCall } from './calls.ts';
import { patience, type Patience } from './limits.ts';
import { canTurnBack, type Saga } from './state.ts';

export type Command =
  | { readonly kind: 'look-up' }
  | {
      readonly kind: 'leg';
      readonly task: string;
      readonly host: HostName;
      readonly try: number;
      readonly calls: readonly [StepCall, ...StepCall[]];
      /** Milliseconds until it counts as lost, picked up or not. */
      readonly limitMs: number;
      readonly patience: Patience;
      readonly notBefore: number;
    }
  | { readonly kind: 'hook'; readonly task: string; readonly hook: Hook }
  | { readonly kind: 'settle'; readonly epoch: Epoch; readonly vote: Decision }
  /** Is the Redis of now the one of this mark, with nothing lost since? */
  | { readonly kind: 'continuity'; readonly mark: string | null }
  /** Puts an operator's word on record, or (null) takes it back. */
  | { readonly kind: 'resolution'; readonly resolution: Resolution | null }
  | { readonly kind: 'finish'; readonly state: MigrationState };

/** The commands that should be under way in this state. */
export function decide(saga: Saga): Command[] {
  switch (saga.stage) {
    case 'look-up':
      return [{ kind: 'look-up' }];
    case 'inspect':
    case 'sync-files':
    case 'pre-dump':
    case 'retire':
    case 'resume':
      return [leg(saga, 'source', [saga.stage])];
    case 'validate':
    case 'prepare':
    case 'release':
    case 'confirm':
    case 'discard':
      return [leg(saga, 'target', [saga.stage])];
    case 'switch':
      return bothLegs(saga);
    case 'dump':
      return [leg(saga, 'source', ['freeze-and-dump', 'final-sync'])];
    case 'restore':
      return [leg(saga, 'target', ['restore-and-hold', 'release'])];
    case 'clean':
      return clean(saga, 'moved');
    case 'clean-up':
      return clean(saga, 'stayed');
    case 'pre-freeze':
    case 'pre-restore':
    case 'post-restore':
    case 'failed-restore':
    case 'rolled-back':
      return nextHook(saga, saga.stage);
    case 'abort':
      return [{ kind: 'settle', epoch: saga.epoch, vote: 'ABORT' }];
    case 'record-commit':
      return [{ kind: 'settle', epoch: saga.epoch, vote: 'COMMIT' }];
    case 'record-abort':
      return [{ kind: 'settle', epoch: saga.epoch, vote: 'ABORT' }];
    case 'ask-continuity':
      return [{ kind: 'continuity', mark: saga.continuityMark }];
    case 'resolve':
    case 'conclude':
    case 'withdraw':
      return [{ kind: 'resolution', resolution: resolutionAt(saga, saga.stage) }];
    case 'end':
      return [{ kind: 'finish', state: saga.end ?? 'needs-operator' }];
  }
}

/** The hooks of one name, in the order they were given; none runs on a host that is fenced. */
export const hooksOf = (saga: Saga, name: HookName): Hook[] =>
  saga.request.options.hooks.filter((hook) => hook.name === name && hook.place !== saga.fenced);

const resolutionAt = ({ fenced }: Saga, stage: 'resolve' | 'conclude' | 'withdraw'): Resolution | null =>
  fenced === null || stage === 'withdraw' ? null : { fenced, over: stage === 'conclude' };

/** Whether a cancel still finds the container undecided, and why not otherwise. */
export function cancelRefusal(saga: Saga): string | null {
  if (canTurnBack(saga) || saga.retrying) return null;
  if (saga.stage === 'end') return 'it has ended';
  return saga.decision === 'COMMIT'
    ? 'the container already belongs to the target'
    : 'it is being rolled back already';
}

/** The target is asked first: it must be armed when the source begins. A leg that has ended is not asked for again. */
function bothLegs(saga: Saga): Command[] {
  const { release, broken } = saga.outcome;
  const target =
    release === null && broken === null ? [leg(saga, 'target', ['restore-and-hold', 'release'])] : [];
  const source = saga.outcome.files === null ? [leg(saga, 'source', ['freeze-and-dump', 'final-sync'])] : [];
  return [...target, ...source];
}

type PlainStep = Exclude<StepName, 'hook' | 'clean' | 'doctor'>;

function leg(saga: Saga, side: 'source' | 'target', steps: readonly [PlainStep, ...PlainStep[]]): Command {
  const [first, ...rest] = steps;
  return legOf(saga, side, first, [call(first, saga), ...rest.map((step) => call(step, saga))]);
}

function legOf(
  saga: Saga,
  side: 'source' | 'target',
  name: string,
  calls: readonly [StepCall, ...StepCall[]],
): Command {
  const attempt = saga.tries + 1;
  return {
    kind: 'leg',
    task: taskId(saga, name, attempt),
    host: saga.request[side],
    try: attempt,
    calls,
    limitMs: patience(saga).pickUpMs + calls.reduce((sum, { timeoutMs }) => sum + timeoutMs, 0),
    patience: patience(saga),
    notBefore: saga.notBefore,
  };
}

/**
 * `<step>.<epoch>.<try>`; rounds of `pre-dump` and an operator's words count on. Stable, so that a second coordinator
 * finds the first one's. A rebuilt saga asks under names of its own: hosts remember how those of the forgotten one ended.
 */
function taskId(saga: Saga, name: string, attempt: number): string {
  const round = saga.stage === 'pre-dump' ? `-${saga.rounds.length + 1}` : '';
  const way = saga.stage === 'clean-up' ? '-up' : '';
  const life = saga.rebuilt === undefined ? '' : `-r${saga.rebuilt.at.toString(36)}`;
  const word = saga.resolutions > 0 ? `-resolved${saga.resolutions}` : '';
  const again = saga.tidying === undefined ? '' : `-again${saga.tidying.round}`;
  return `${name}${round}${way}${life}${word}${again}.${saga.epoch}.${attempt}`;
}

function clean(saga: Saga, outcome: 'moved' | 'stayed'): Command[] {
  return (['target', 'source'] as const)
    .filter((side) => !saga.cleaned[side])
    .map((side) => legOf(saga, side, `clean-${side}`, [cleanCall(side, outcome, saga)]));
}

function nextHook(saga: Saga, name: HookName): Command[] {
  const hook = hooksOf(saga, name)[saga.hooksRun];
  if (hook === undefined) throw new Error(`stage ${name} was entered without a hook to run`);
  const task = taskId(saga, `${HookNames.parse(name)}-${saga.hooksRun}`, 1);
  if (hook.place === 'coordinator') return [{ kind: 'hook', task, hook }];
  return [{ ...legOf(saga, hook.place, name, [hookCall(hook, saga)]), task } as Command];
}

/** What a saga knows, and what can happen to it. Plain data: it is stored as JSON between any two events. */
import type {
  Decision,
  Epoch,
  Failure,
  Finding,
  HookOutcome,
  HostEndpoint,
  HostFacts,
  HostName,
  Inspection,
  JournalNote,
  MigrationRequest,
  MigrationState,
  PassedOver,
  Prediction,
  RoundFigures,
  Side,
  StepOutput,
  StepReport,
  StepResult,
  TargetSurvey,
  Tuning,
} from '@cmt/contracts';

/** Where a saga stands. Forward, then committed, then the way back. */
export type Stage =
  | 'look-up'
  | 'inspect'
  | 'validate'
  | 'prepare'
  | 'sync-files'
  | 'pre-dump'
  | 'pre-freeze'
  /** Both legs of the blackout at once: the target armed, the source sending. */
  | 'switch'
  /** The same in three parts, where a pre-restore hook stands between. */
  | 'dump'
  | 'pre-restore'
  | 'restore'
  // From here on the target owns the container.
  | 'release'
  | 'confirm'
  | 'post-restore'
  /** COMMIT is on record again, should Redis have lost it: the source asks for it before its copy dies. */
  | 'record-commit'
  | 'retire'
  | 'clean'
  // The way back.
  | 'abort'
  | 'discard'
  /** What the target's journal said is put on a record that had forgotten everything. */
  | 'record-abort'
  | 'ask-continuity'
  | 'resume'
  | 'clean-up'
  | 'failed-restore'
  | 'rolled-back'
  // An operator's word that one side is fenced: put on record, marked as done with, or taken back.
  | 'resolve'
  | 'conclude'
  | 'withdraw'
  | 'end';

export interface Peer {
  readonly endpoint: HostEndpoint;
}

/** What the two legs of a switch brought, as far as they have ended. */
export interface SwitchOutcome {
  readonly dump: StepOutput<'freeze-and-dump'> | null;
  readonly files: StepOutput<'final-sync'> | null;
  readonly restore: StepOutput<'restore-and-hold'> | null;
  readonly release: StepOutput<'release'> | null;
  /** The target says that the transfer broke: the source's own words about it are waited for. */
  readonly broken: Failure | null;
}

/** What the journals of its two hosts say of one migration. */
export interface Journals {
  readonly source: JournalNote | null;
  readonly target: JournalNote | null;
}

/** How a saga came to be that Redis had forgotten. */
export interface Rebuilt {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** For people: where its facts are from, and what was lost. */
  readonly note: string;
}

/** The target that was found for a request that left it open. */
export interface Placement {
  readonly host: HostName;
  /** One sentence. */
  readonly why: string;
}

export interface Saga {
  readonly v: 1;
  /** With the target that was found, where it left that open. */
  readonly request: MigrationRequest;
  /** What was changed since; absent as long as nothing was. */
  readonly tuning?: Tuning;
  readonly stage: Stage;
  readonly epoch: Epoch;
  /** Failed tries of the present stage, and the time before which it is not tried again. */
  readonly tries: number;
  readonly notBefore: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Names the Redis that the migration began on; null when that one may lose its last second. */
  readonly continuityMark: string | null;
  readonly source: Peer | null;
  readonly target: Peer | null;
  /** The limit that it waits for before it begins, in words. */
  readonly waitsFor: string | null;
  readonly placement: Placement | null;
  /** Hosts that were found before and could not take the container. */
  readonly passedOver: readonly PassedOver[];
  readonly inspection: Inspection | null;
  readonly sourceFacts: HostFacts | null;
  readonly survey: TargetSurvey | null;
  readonly findings: readonly Finding[];
  readonly rounds: readonly RoundFigures[];
  readonly roundsNote: string | null;
  /** What was expected of the blackout when the rounds ended. */
  readonly predicted: Prediction | null;
  /** The rounds have ended, with or without any, and pages that are not on the target follow the container. */
  readonly postCopy?: boolean;
  /** Something may have been made on the target (in this epoch), and the switch may have begun. */
  readonly touched: boolean;
  readonly switching: boolean;
  readonly decision: Decision | null;
  readonly outcome: SwitchOutcome;
  /** True when the way back leads to another try instead of the end. */
  readonly retrying: boolean;
  readonly cleaned: { readonly source: boolean; readonly target: boolean };
  readonly failure: Failure | null;
  readonly cancelled: string | null;
  /** The side that an operator has declared fenced: nothing is asked of it any more. */
  readonly fenced: Side | null;
  /** How often an operator has spoken; part of the ids of what is asked for because of it. */
  readonly resolutions: number;
  readonly hooks: readonly HookOutcome[];
  /** Hooks of the present stage that have run. */
  readonly hooksRun: number;
  readonly steps: readonly StepReport[];
  readonly end: MigrationState | null;
  /** Only on what was taken up from the hosts' journals. */
  readonly rebuilt?: Rebuilt;
  /** How it had ended before it was taken up once more to clean, and how often that was. */
  readonly tidying?: { readonly end: MigrationState; readonly round: number };
}

/** What can happen to a saga. `at` is milliseconds since 1970, from whoever saw it: the saga itself has no clock. */
export type SagaEvent = { readonly at: number } & (
  | {
      readonly kind: 'looked-up';
      readonly source: Peer;
      readonly target: Peer;
      readonly continuityMark: string | null;
      /** Only for a request that leaves the target open. */
      readonly placed?: Placement;
      /** What the hosts' journals say of this very migration already: Redis has forgotten it. */
      readonly journals?: Journals;
    }
  | { readonly kind: 'look-up-failed'; readonly failure: Failure }
  /** A limit is reached: nothing is begun yet, and it is looked at again after `ms` milliseconds, or when somebody calls. */
  | { readonly kind: 'must-wait'; readonly reason: string; readonly ms: number }
  | { readonly kind: 'leg-ended'; readonly task: string; readonly results: readonly StepResult[] }
  /** Nobody answered in time: whether the steps ran is unknown. */
  | { readonly kind: 'leg-lost'; readonly task: string; readonly failure: Failure }
  | { readonly kind: 'hook-ended'; readonly task: string; readonly outcome: HookOutcome }
  | { readonly kind: 'settled'; readonly epoch: Epoch; readonly decision: Decision }
  | { readonly kind: 'continuity'; readonly unbroken: boolean }
  | { readonly kind: 'cancel'; readonly reason: string }
  /** What was changed since it was asked for. */
  | { readonly kind: 'tune'; readonly tuning: Tuning }
  /** An operator says that one side is fenced. */
  | { readonly kind: 'resolve'; readonly fenced: Side }
  /** An operator's word stands in the record as the present stage wants it. */
  | { readonly kind: 'recorded' }
);

const NOTHING_YET: SwitchOutcome = { dump: null, files: null, restore: null, release: null, broken: null };

/** A saga that has not begun. */
export function initial(request: MigrationRequest, at: number): Saga {
  return {
    v: 1,
    request,
    stage: 'look-up',
    epoch: 1,
    tries: 0,
    notBefore: 0,
    startedAt: at,
    endedAt: null,
    continuityMark: null,
    source: null,
    target: null,
    waitsFor: null,
    placement: null,
    passedOver: [],
    inspection: null,
    sourceFacts: null,
    survey: null,
    findings: [],
    rounds: [],
    roundsNote: null,
    predicted: null,
    touched: false,
    switching: false,
    decision: null,
    outcome: NOTHING_YET,
    retrying: false,
    cleaned: { source: false, target: false },
    failure: null,
    cancelled: null,
    fenced: null,
    resolutions: 0,
    hooks: [],
    hooksRun: 0,
    steps: [],
    end: null,
  };
}

/** The saga at another stage, its tries counted anew. */
export const enter = (saga: Saga, stage: Stage, more: Partial<Saga> = {}): Saga => ({
  ...saga,
  tries: 0,
  notBefore: 0,
  hooksRun: 0,
  ...more,
  stage,
});

/** The saga ready for another hand-over, one epoch later: what the rounds of this one came to is forgotten. */
export const nextEpoch = (saga: Saga): Saga =>
  enter(saga, 'prepare', {
    epoch: saga.epoch + 1,
    rounds: [],
    predicted: null,
    postCopy: false,
    touched: true,
    switching: false,
    decision: null,
    outcome: NOTHING_YET,
    retrying: false,
    failure: null,
  });

/** Still free to turn back: the container belongs to the source. */
const FORWARD: readonly Stage[] = [
  'look-up',
  'inspect',
  'validate',
  'prepare',
  'sync-files',
  'pre-dump',
  'pre-freeze',
  'switch',
  'dump',
  'pre-restore',
  'restore',
];
export const canTurnBack = (saga: Saga): boolean => FORWARD.includes(saga.stage);

/** The container may stand frozen, and nobody but the coordinator sees to it that it goes on. */
const STANDS_STILL: readonly Stage[] = [
  'switch',
  'dump',
  'pre-restore',
  'restore',
  'release',
  'abort',
  'discard',
  'ask-continuity',
  'resolve',
  'resume',
];
export const standsStill = (saga: Saga): boolean => saga.switching && STANDS_STILL.includes(saga.stage);

/** Forward only: the container belongs to the target. */
const OWNED_BY_TARGET: readonly Stage[] = [
  'release',
  'confirm',
  'post-restore',
  'record-commit',
  'retire',
  'clean',
];
export const isCommitted = (saga: Saga): boolean => OWNED_BY_TARGET.includes(saga.stage);

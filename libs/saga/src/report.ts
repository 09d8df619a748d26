/** How a migration stands, for people and programs: the saga as a `MigrationReport`. Pure. */
import type { Blackout, DumpFigures, HookName, MigrationReport, MigrationState } from '@cmt/contracts';
import { imageBytesOf, messageOf, remedyOf } from '@cmt/contracts';
import { pagesFollow } from './restoring.ts';
import { canTurnBack, isCommitted, type Saga, type SwitchOutcome } from './state.ts';

/** The report of a saga at time `now` (milliseconds since 1970). */
export function report(saga: Saga, now: number): MigrationReport {
  const blackout = blackoutOf(saga.outcome);
  return {
    v: 1,
    id: saga.request.id,
    container: saga.inspection?.container ?? saga.request.container ?? saga.request.sourceBundle ?? '',
    from: saga.request.source,
    to: saga.request.target,
    state: stateOf(saga),
    decision: saga.decision,
    ...(saga.fenced === null ? {} : { fenced: saga.fenced }),
    step: saga.stage === 'end' ? (saga.steps.at(-1)?.name ?? null) : saga.stage,
    epoch: saga.epoch,
    rounds: saga.rounds.length,
    roundsNote: saga.roundsNote,
    blackoutMs: blackout?.totalMs ?? null,
    blackout,
    bytesSent: ofDumps(({ bytesSent }) => bytesSent, saga),
    imageBytes: ofDumps(imageBytesOf, saga),
    ...preCopyOf(saga),
    totalMs: Math.max(0, (saga.endedAt ?? now) - saga.startedAt),
    steps: [...saga.steps],
    findings: [...saga.findings],
    hooks: [...saga.hooks],
    failure: saga.failure,
    message: saga.failure === null ? null : messageOf(saga.failure),
    remedy: saga.failure === null ? null : remedyOf(saga.failure),
    request: saga.request,
    ...(saga.waitsFor === null ? {} : { waitsFor: saga.waitsFor }),
    ...placementOf(saga),
    ...(saga.touched ? {} : { untouched: true }),
    ...(pagesFollow(saga) ? { pagesFollow: true } : {}),
    ...(saga.rebuilt === undefined ? {} : { rebuilt: saga.rebuilt.note }),
  };
}

function placementOf({ placement, passedOver }: Saga): Pick<MigrationReport, 'placement'> {
  if (placement === null && passedOver.length === 0) return {};
  return { placement: { why: placement?.why ?? '', passedOver: [...passedOver] } };
}
/** Told once the rounds are over, or one has come through. */
function preCopyOf({ rounds, predicted, outcome }: Saga): Pick<MigrationReport, 'preCopy'> {
  if (rounds.length === 0 && predicted === null) return {};
  return { preCopy: { rounds: [...rounds], final: outcome.dump?.figures ?? null, predicted } };
}

/** Bytes of all pre-dump rounds, and of the dump once it has come through. */
const ofDumps = (bytesOf: (dump: DumpFigures) => number, { rounds, outcome }: Saga): number =>
  [...rounds, ...(outcome.dump === null ? [] : [outcome.dump.figures])]
    .map(bytesOf)
    .reduce((sum, bytes) => sum + bytes, 0);

/** What a hook reads on standard input. */
export const hookContext = (saga: Saga, hook: HookName): Record<string, unknown> => ({
  hook,
  migration: saga.request.id,
  container: saga.inspection?.container ?? saga.request.container ?? null,
  from: saga.request.source,
  to: saga.request.target,
  epoch: saga.epoch,
  failure: saga.failure === null ? null : { code: saga.failure.code, message: messageOf(saga.failure) },
});

/** How a saga stands, in the word of its report. */
export function stateOf(saga: Saga): MigrationState {
  if (saga.end !== null) return saga.end;
  if (saga.tidying !== undefined) return saga.tidying.end;
  if (saga.waitsFor !== null && saga.stage === 'look-up') return 'queued';
  if (isCommitted(saga) || saga.fenced === 'source') return 'committed';
  return canTurnBack(saga) ? 'running' : 'rolling-back';
}

/** It takes of the links between its hosts, or is about to. */
export const isSending = (saga: Saga): boolean => stateOf(saga) === 'running' || pagesFollow(saga);

/**
 * From the order to freeze (source's clock) to the opened gate (target's clock), less the offset of the two clocks.
 * The transfer overlaps the dump; what remains after it is the wire's share.
 */
export function blackoutOf({ dump, files, restore, release }: SwitchOutcome): Blackout | null {
  if (dump === null || files === null || restore === null || release === null) return null;
  const totalMs = Math.max(0, release.releasedAt - dump.clockOffsetMs - dump.frozenAt);
  const transferMs = Math.max(0, dump.figures.sendMs - dump.dumpMs);
  const tools = dump.pauseMs + dump.dumpMs + transferMs + files.ms + restore.restoreMs + release.openMs;
  return {
    totalMs,
    pauseMs: dump.pauseMs,
    dumpMs: dump.dumpMs,
    transferMs,
    filesMs: files.ms,
    restoreMs: restore.restoreMs + release.openMs,
    criuMs: dump.figures.freezingMs + dump.figures.frozenMs + restore.criuMs,
    ownMs: Math.max(0, totalMs - tools),
  };
}

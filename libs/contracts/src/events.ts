/** What a migration tells while it runs, and how it stands: for `watch`, `logs`, `status` and the board. */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { HookName, HookOutcome } from './hooks.ts';
import { PassedOver } from './fleet.ts';
import { Finding } from './host.ts';
import { MigrationRequest } from './migration.ts';
import { Decision, HostName, MigrationId, Side } from './names.ts';
import { DumpFigures, RoundFigures, StepName } from './steps.ts';

/** How a migration stands. The last six are ends. */
export const MigrationState = z.enum([
  'queued',
  'running',
  'rolling-back',
  'committed',
  'done',
  'validated',
  'refused',
  'rolled-back',
  'cancelled',
  'needs-operator',
]);
export type MigrationState = z.infer<typeof MigrationState>;

const ENDS: readonly MigrationState[] = [
  'done',
  'validated',
  'refused',
  'rolled-back',
  'cancelled',
  'needs-operator',
];
export const isEnd = (state: MigrationState): boolean => ENDS.includes(state);

const ms = z.number().min(0);

/** One step that was run, for the report. */
export const StepReport = z.object({
  name: z.union([StepName, HookName]),
  host: z.string(),
  try: z.int().min(1),
  ok: z.boolean(),
  ms,
});
export type StepReport = z.infer<typeof StepReport>;

/** Where the blackout went, in milliseconds. `own` is what is neither CRIU, the runtime nor the wire. */
export const Blackout = z.object({
  totalMs: ms,
  pauseMs: ms,
  dumpMs: ms,
  transferMs: ms,
  filesMs: ms,
  restoreMs: ms,
  /** CRIU's own time inside dump and restore. */
  criuMs: ms,
  ownMs: ms,
});
export type Blackout = z.infer<typeof Blackout>;

/** What the converge rule expects of the blackout, in milliseconds; its parts are those of `Blackout`. */
export const Prediction = z.object({
  totalMs: ms,
  /** Pause, dump and transfer. */
  dumpMs: ms,
  filesMs: ms,
  restoreMs: ms,
  /** Bytes of memory that the last dump is expected to carry. */
  remaining: z.number().min(0),
});
export type Prediction = z.infer<typeof Prediction>;

/** The rounds of pre-copy, and what was expected of the blackout when they ended; the truth is in `blackout`. */
export const PreCopy = z.object({
  rounds: z.array(RoundFigures),
  /** The dump inside the blackout, once it has come through. */
  final: DumpFigures.nullable(),
  predicted: Prediction.nullable(),
});
export type PreCopy = z.infer<typeof PreCopy>;

/** A migration as programs see it (`--json`). */
export const MigrationReport = z.object({
  v: z.literal(1),
  id: MigrationId,
  container: z.string(),
  from: HostName,
  to: HostName,
  state: MigrationState,
  decision: Decision.nullable(),
  /** The side that an operator has declared fenced. */
  fenced: Side.optional(),
  /** The row under way, or the one that ended it. */
  step: z.string().nullable(),
  epoch: z.int(),
  rounds: z.int(),
  /** Why there were no pre-dump rounds, or why they stopped. */
  roundsNote: z.string().nullable(),
  blackoutMs: ms.nullable(),
  blackout: Blackout.nullable(),
  /** Not there before the rounds are thought about. */
  preCopy: PreCopy.optional(),
  /** Bytes of memory images that went from host to host, so far as their figures are known. */
  bytesSent: z.number().min(0).optional(),
  /** Bytes of those images as they lie on both hosts: more than that with `--compress`. */
  imageBytes: z.number().min(0).optional(),
  totalMs: ms,
  steps: z.array(StepReport),
  findings: z.array(Finding),
  hooks: z.array(HookOutcome),
  failure: Failure.nullable(),
  /** The sentence and the remedy of `failure`. */
  message: z.string().nullable(),
  remedy: z.string().nullable(),
  request: MigrationRequest,
  /** The limit that it waits for, in words. */
  waitsFor: z.string().optional(),
  /** Why this target was chosen, where the request left that open, and the hosts that were tried before. */
  placement: z.object({ why: z.string(), passedOver: z.array(PassedOver) }).optional(),
  /** Set while nothing was made on a host for it: it was only looked at. */
  untouched: z.literal(true).optional(),
  /** Set after the decision while pages of its memory are on their way from the source to the running copy. */
  pagesFollow: z.literal(true).optional(),
  /** Set when Redis had forgotten the migration: where its facts are from, and what was lost. */
  rebuilt: z.string().optional(),
});
export type MigrationReport = z.infer<typeof MigrationReport>;

/**
 * Whether it ended believing that nothing had been begun. What a journal holds of it all the same is no remnant to clean, but a hand-over
 * that Redis had forgotten: the journals say how that one ends.
 */
export const endedUnbegun = ({ state, untouched }: Pick<MigrationReport, 'state' | 'untouched'>): boolean =>
  state === 'refused' || (state === 'cancelled' && untouched === true);

/** One line of a migration's event stream. */
export const MigrationEvent = z.object({
  v: z.literal(1),
  migration: MigrationId,
  at: z.number(),
  host: z.string(),
  kind: z.enum(['state', 'step-started', 'step-ended', 'progress', 'note', 'hook', 'warning']),
  step: z.string().optional(),
  text: z.string().max(4096),
  /** For `progress`: done and total in bytes. */
  done: z.number().optional(),
  total: z.number().optional(),
});
export type MigrationEvent = z.infer<typeof MigrationEvent>;

/** Something that must not be and is, told again and again by a host for as long as it lasts. */
export const Alarm = z.object({ at: z.number(), text: z.string().max(4096) });
export type Alarm = z.infer<typeof Alarm>;

/**
 * Every step a host can be asked for: what goes in, what comes out.
 * One name everywhere: the row in saga/plan.ts, the key here, the file host/src/steps/<step>.ts.
 */
import { z } from 'zod';
import { Diagnosis, DOCTOR_PEERS } from './doctor.ts';
import { Failure } from './failure.ts';
import { Hook, HookOutcome } from './hooks.ts';
import { ContainerNetwork, Finding, HostEndpoint, HostFacts, Inspection, TargetSurvey } from './host.ts';
import { Codec, TcpPolicy, TransportName } from './migration.ts';
import { AbsolutePath, ContainerId, Decision, Epoch, HostName, MigrationId, Side } from './names.ts';
import { RuntimeName } from './runtime.ts';

const ms = z.number().min(0);
/** Bytes that the container was seen to hold: room for its images. */
const memory = z.number().min(0).default(0);

/** The container as every step after `inspect` names it. */
export const Subject = z.object({ runtime: RuntimeName, container: ContainerId, bundle: AbsolutePath });
export type Subject = z.infer<typeof Subject>;

/** Where the source sends images and files, and how. */
export const Route = z.object({
  transport: TransportName,
  peer: HostName,
  endpoint: HostEndpoint,
  /** Bytes per second that images, and files, may take; without it as many as go. */
  bandwidth: z.int().positive().optional(),
  /** The same, of the links that it shares with other migrations: the lower one counts. */
  share: z.int().positive().optional(),
  /** Packs images that have a connection of their own; without it they go as they are. */
  compress: Codec.optional(),
});
export type Route = z.infer<typeof Route>;

/** Bytes of a page, as CRIU and the kernel of x86-64 count them. */
export const PAGE_BYTES = 4096;

/** Figures of one dump, from CRIU's stats-dump (images/stats.proto) and the transfer. Microseconds become milliseconds. */
export const DumpFigures = z.object({
  freezingMs: ms,
  frozenMs: ms,
  pagesWritten: z.int(),
  /** Pages already sent by an earlier round. */
  pagesSkipped: z.int(),
  /** Bytes that went over the wire, and how long that took. */
  bytesSent: z.int(),
  sendMs: ms,
  /** Bytes of the images that these were, packed or not; not told by older workers, which pack nothing. */
  imageBytes: z.int().optional(),
  /** From the order to dump until the target had acknowledged all of it; not told by older workers. */
  ms: ms.optional(),
});
export type DumpFigures = z.infer<typeof DumpFigures>;

/** Bytes of the images of one dump, as they lie on both hosts. */
export const imageBytesOf = ({
  bytesSent,
  imageBytes = bytesSent,
}: Pick<DumpFigures, 'bytesSent' | 'imageBytes'>): number => imageBytes;

/** A round of pre-copy: the files that changed since they were carried last, then memory. */
export const RoundFigures = DumpFigures.extend({
  /** Milliseconds since 1970 on the source's clock at which the dump was ordered. */
  startedAt: z.number(),
  ms,
  /** What carrying the files took before that; null where none were looked at. */
  filesMs: ms.nullable(),
  /** Bytes that were written again meanwhile, seen when all of it was sent; null where nobody could look, not told by older workers. */
  dirtyBytes: z.int().nullable().optional(),
});
export type RoundFigures = z.infer<typeof RoundFigures>;

const step = <I extends z.ZodRawShape, O extends z.ZodRawShape>(input: I, output: O) => ({
  input: z.object(input),
  output: z.object(output),
});

/** The table of steps. Undo steps (`discard`, `resume`) stand beside the steps they undo. */
export const steps = {
  /** Source: what runs, its size, its sockets and mounts, and what CRIU would refuse. Changes nothing. */
  inspect: step(
    {
      runtime: RuntimeName,
      container: ContainerId.optional(),
      bundle: AbsolutePath.optional(),
      tcp: TcpPolicy,
    },
    { inspection: Inspection, facts: HostFacts, findings: z.array(Finding) },
  ),
  /** Target: could it take that container? Changes nothing; the saga judges the answer. */
  validate: step(
    { inspection: Inspection, targetBundle: AbsolutePath, sharedRootfs: z.boolean(), source: HostName },
    { survey: TargetSurvey },
  ),
  /** Target: id, address, space and images directory reserved; network built, not attached; receiver open. */
  prepare: step(
    {
      subject: Subject,
      source: HostName,
      /** The only key whose owner may send to this session. */
      sourceKey: z.string(),
      network: ContainerNetwork,
      memory: z.number(),
      files: z.number(),
      transport: TransportName,
      sharedRootfs: z.boolean(),
    },
    { endpoint: HostEndpoint, bundleExisted: z.boolean() },
  ),
  /** Source: bundle and root filesystem to the target while the container runs. */
  'sync-files': step({ subject: Subject, route: Route }, { bytes: z.int(), ms }),
  /** Source: one round of files (if `carry` says so) and of memory, sent while the container runs. */
  'pre-dump': step(
    { subject: Subject, route: Route, round: z.int().min(1), tcp: TcpPolicy, carry: z.boolean(), memory },
    { figures: RoundFigures },
  ),
  /** Source: frozen in memory, network shut, dumped, images at the target. The blackout begins. */
  'freeze-and-dump': step(
    {
      subject: Subject,
      route: Route,
      network: ContainerNetwork,
      tcp: TcpPolicy,
      /** Rounds already at the target; the last is the parent of this dump. */
      rounds: z.int().min(0),
      memory,
      /** Wait until the target's restorer is armed before freezing: no queue hop stands in the blackout then. */
      awaitRestorer: z.boolean(),
      /** Files will be carried too (see `final-sync`): that may begin while the dump runs. */
      carry: z.boolean().optional(),
      /** Private memory stays here, frozen, and is served until the target has all of it; `retire` comes after that. */
      postCopy: z.boolean().optional(),
    },
    {
      /** Milliseconds since 1970 on the source's clock at which the freeze was ordered. */
      frozenAt: z.number(),
      /** From the end of the last round to that order; not told without rounds, nor by older workers. */
      readyMs: ms.optional(),
      /** Target's clock minus source's clock, estimated on the data connection. */
      clockOffsetMs: z.number(),
      pauseMs: ms,
      dumpMs: ms,
      figures: DumpFigures,
      postCopy: z.boolean().optional(),
    },
  ),
  /** Source: the files that changed since `sync-files` (unless `carry` is false: shared), then the word to restore. */
  'final-sync': step({ subject: Subject, route: Route, carry: z.boolean() }, { bytes: z.int(), ms }),
  /** Target: restored completely, held behind CRIU's post-restore gate; not one instruction run. */
  'restore-and-hold': step(
    {
      subject: Subject,
      network: ContainerNetwork,
      tcp: TcpPolicy,
      rounds: z.int().min(0),
      /** Its memory follows it from the images while it runs; `confirm` waits for the last page. */
      lazy: z.boolean().default(false),
      /** With `lazy`: what images lack comes from the source, and there is no complete restore instead. */
      postCopy: z.boolean().optional(),
    },
    {
      /** From the last image byte to the start of the restore, and from there to the gate. */
      waitMs: ms,
      restoreMs: ms,
      /** CRIU's own share of it (stats-restore). */
      criuMs: ms,
      /** False also when a lazy restore failed and a complete one followed. */
      lazy: z.boolean().default(false),
    },
  ),
  /** Target: makes the decision if nobody has, journals it, opens the gate, attaches the network. The blackout ends. */
  release: step(
    {
      subject: Subject,
      network: ContainerNetwork,
      /** The source is fenced by an operator's word: the copy runs whatever was decided. Needs that word on record too. */
      fenced: z.boolean().optional(),
    },
    {
      decision: Decision,
      /** Milliseconds since 1970 on the target's clock at which the container ran. */
      releasedAt: z.number(),
      decideMs: ms,
      openMs: ms,
    },
  ),
  /** Target: it runs, still runs after `confirmForMs`, and every page of its memory is in. */
  confirm: step(
    {
      subject: Subject,
      confirmForMs: z.int().min(0),
      /** Bytes of its memory: what this restore cost is kept for the next prediction. */
      memory: z.number().min(0).optional(),
      /** Those of them that follow it where it is restored lazily. */
      following: z.number().min(0).optional(),
    },
    { pid: z.int(), ranMs: ms },
  ),
  /** Source: the frozen copy dies, cut off from the network. */
  retire: step({ subject: Subject, network: ContainerNetwork }, {}),
  /** Either side: what this migration made and nobody needs any more is gone. */
  clean: step(
    { side: Side, subject: Subject, network: ContainerNetwork, outcome: z.enum(['moved', 'stayed']) },
    {},
  ),
  /** Target, undo: the held copy and all that was reserved is gone; ABORT is journalled. */
  discard: step(
    { subject: Subject, network: ContainerNetwork },
    {
      /** `COMMIT` when the target had committed already: then nothing was discarded and the saga goes forward. */
      decision: Decision,
    },
  ),
  /** Source, undo: the frozen container runs on, its network attached again. Needs ABORT on record (lifecycle H2). */
  resume: step(
    {
      subject: Subject,
      network: ContainerNetwork,
      /** The target is fenced by an operator's word: the copy runs on whatever was decided. Needs that word on record too. */
      fenced: z.boolean().optional(),
    },
    {
      /** False when it was never frozen. */
      wasFrozen: z.boolean(),
      /** Milliseconds it stood still. */
      frozenMs: ms,
    },
  ),
  /** Either side: a hook of the user, on this host. */
  hook: step({ hook: Hook, context: z.record(z.string(), z.unknown()) }, { outcome: HookOutcome }),
  /** No migration's: how this machine is, and whether it reaches those. Changes nothing. */
  doctor: step(
    { peers: z.array(z.object({ name: HostName, endpoint: HostEndpoint })).max(DOCTOR_PEERS) },
    { diagnoses: z.array(Diagnosis) },
  ),
} as const;

export type StepName = keyof typeof steps;
export const StepName = z.enum(Object.keys(steps) as [StepName, ...StepName[]]);
export type StepInput<N extends StepName> = z.infer<(typeof steps)[N]['input']>;
export type StepOutput<N extends StepName> = z.infer<(typeof steps)[N]['output']>;

/** What a step returns. A thrown error means that the machinery broke, never that the step failed. */
export const StepResult = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), step: StepName, output: z.record(z.string(), z.unknown()), ms }),
  z.object({ ok: z.literal(false), step: StepName, failure: Failure, ms }),
]);
export type StepResult = z.infer<typeof StepResult>;

/** One step of a leg: its name and its input, checked against the table when it is run. */
export const StepCall = z.object({
  step: StepName,
  input: z.record(z.string(), z.unknown()),
  timeoutMs: z.int().positive(),
});
export type StepCall = z.infer<typeof StepCall>;

/** `<step>.<epoch>.<try>`, made by the saga. */
export const TaskId = z
  .string()
  .regex(/^[a-z][a-z0-9.-]{0,62}$/, 'lower case letters, digits, dots and dashes');
export type TaskId = z.infer<typeof TaskId>;

/**
 * A job for one host: consecutive rows of the plan on the same side, run without a queue hop between them.
 * It ends at the first step that fails.
 */
export const Leg = z.object({
  v: z.literal(1),
  migration: MigrationId,
  epoch: Epoch,
  /** Queue and host the job is meant for: a job moved to another queue is refused. */
  host: HostName,
  /** Unique in its migration, e.g. `prepare.1.2`; part of the job's id, so that a copy under another id is refused. */
  task: TaskId,
  try: z.int().min(1),
  calls: z.array(StepCall).min(1),
  issuedAt: z.number(),
});
export type Leg = z.infer<typeof Leg>;

export const LegResult = z.object({ v: z.literal(1), results: z.array(StepResult).min(1) });
export type LegResult = z.infer<typeof LegResult>;

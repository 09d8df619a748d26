/** What a user asks for: one container, from one host to another. */
import { z } from 'zod';
import { Bandwidth } from './bandwidth.ts';
import { Place, Priority } from './fleet.ts';
import { Hook } from './hooks.ts';
import { AbsolutePath, ContainerId, HostName, MigrationId } from './names.ts';
import { RuntimeName } from './runtime.ts';

/**
 * How memory moves. `auto` is pre-copy where both kernels track dirty pages, else stop-and-copy. `post-copy`: pages follow the
 * container while it runs, which from the switch on needs both hosts until the last one is in; so it is asked for, here or by
 * `OnNoConvergence`, and never chosen otherwise. `hybrid`: rounds of pre-copy first, and what they leave follows.
 */
export const Mode = z.enum(['auto', 'stop-and-copy', 'pre-copy', 'post-copy', 'hybrid']);
export type Mode = z.infer<typeof Mode>;

/** What happens when rounds of pre-copy cannot bring the blackout into its budget. */
export const OnNoConvergence = z.enum(['switch', 'post-copy', 'abort']);
export type OnNoConvergence = z.infer<typeof OnNoConvergence>;

/** Whether this mode runs rounds of pre-copy where the kernel can. */
export const hasRounds = ({ mode }: { readonly mode: Mode }): boolean =>
  mode === 'auto' || mode === 'pre-copy' || mode === 'hybrid';

/** Whether it may end in post-copy: from the beginning, or because rounds have not helped, which takes a mode that has some. */
export const allowsPostCopy = ({
  mode,
  onNoConvergence,
}: {
  readonly mode: Mode;
  readonly onNoConvergence: OnNoConvergence;
}): boolean =>
  mode === 'post-copy' || mode === 'hybrid' || (hasRounds({ mode }) && onNoConvergence === 'post-copy');

/** What becomes of established TCP connections: kept, closed on restore, or a reason to refuse. */
export const TcpPolicy = z.enum(['established', 'close', 'refuse']);
export type TcpPolicy = z.infer<typeof TcpPolicy>;

export const TransportName = z.enum(['ssh', 'tcp']);
export type TransportName = z.infer<typeof TransportName>;

const MaxDowntimeMs = z.int().positive();

/**
 * How the memory of the copy is filled from images that are complete on the target. `lazy`: while it runs, by `criu lazy-pages`;
 * `complete`: before it runs. `auto` is lazy for a large container where the target can (saga/restoring.ts).
 */
export const RestorePolicy = z.enum(['auto', 'complete', 'lazy']);
export type RestorePolicy = z.infer<typeof RestorePolicy>;

/** What images are packed with on their way from host to host. */
export const Compression = z.enum(['none', 'zstd']);
export const Codec = Compression.exclude(['none']);
export type Codec = z.infer<typeof Codec>;

export const MigrationOptions = z.object({
  mode: Mode.default('auto'),
  /** Milliseconds of blackout that pre-copy aims for. */
  maxDowntimeMs: MaxDowntimeMs.default(300),
  /** Upper bound of pre-dump rounds. */
  maxRounds: z.int().min(0).max(32).default(8),
  /** Milliseconds that rounds may take in all: none is begun that would end later. */
  timeoutMs: z.int().min(1000).max(86_400_000).optional(),
  onNoConvergence: OnNoConvergence.default('switch'),
  restore: RestorePolicy.default('auto'),
  tcp: TcpPolicy.default('established'),
  transport: TransportName.default('ssh'),
  /** Without it as many as go. */
  bandwidth: Bandwidth.optional(),
  compress: Compression.default('none'),
  /** Both hosts see the same bundle: files are not carried. */
  sharedRootfs: z.boolean().default(false),
  /** Soft findings become warnings. */
  force: z.boolean().default(false),
  /** Milliseconds that the restored container must stay alive before the source copy is let go. */
  confirmForMs: z.int().min(0).max(600_000).default(1000),
  /** Upper bound, in milliseconds, of the limit that each step up to the decision gets; what undoes and what follows keeps its own. */
  stepTimeoutMs: z.int().min(1000).max(86_400_000).optional(),
  /** Stop after `validate` and report. */
  validateOnly: z.boolean().default(false),
  hooks: z.array(Hook).max(16).default([]),
});
export type MigrationOptions = z.infer<typeof MigrationOptions>;

export const MigrationRequest = z
  .object({
    v: z.literal(1),
    id: MigrationId,
    runtime: RuntimeName.default('runc'),
    /** The container's id; without it, the one whose bundle is `sourceBundle`. */
    container: ContainerId.optional(),
    source: HostName,
    /** `UNPLACED` where `place` says what to look for. */
    target: HostName,
    place: Place.optional(),
    priority: Priority.optional(),
    sourceBundle: AbsolutePath.optional(),
    /** Where the bundle goes; the same path as on the source unless given. */
    targetBundle: AbsolutePath.optional(),
    options: MigrationOptions,
    /** Milliseconds since 1970 on the clock of whoever asked. */
    requestedAt: z.int(),
  })
  .refine((request) => request.container !== undefined || request.sourceBundle !== undefined, {
    message: 'name the container or its bundle',
  });
export type MigrationRequest = z.infer<typeof MigrationRequest>;

/** What may be changed while a migration is under way. */
export const Tuning = z.object({
  /** Null: as many as go. */
  bandwidth: Bandwidth.nullable().optional(),
  maxDowntimeMs: MaxDowntimeMs.optional(),
  /** What its coordinator gives it of the links that it shares with others, beside `bandwidth`; null: those links have no limit. */
  share: Bandwidth.nullable().optional(),
});
export type Tuning = z.infer<typeof Tuning>;

/** A client's wish to change that (`cmt tune`), or a coordinator's word about the share. */
export const TuneOrder = z.object({
  v: z.literal(1),
  kind: z.literal('tune'),
  migration: MigrationId,
  tuning: Tuning,
  /** Milliseconds since 1970 on the clock of whoever asked. */
  issuedAt: z.int(),
});
export type TuneOrder = z.infer<typeof TuneOrder>;

/** What an operator asks for when nobody can decide: that a migration goes on without one of its hosts (`cmt resolve`). */
export const ResolveOrder = z.object({
  v: z.literal(1),
  kind: z.literal('resolve'),
  migration: MigrationId,
  /** The host that is fenced. */
  fenced: HostName,
  /** Version of the stored migration that the operator has seen: an order about any other standstill is refused. */
  version: z.int(),
  /** Tells this order from every other, so that none is obeyed twice. */
  nonce: z.string().regex(/^[a-z0-9]{8,64}$/),
  /** Milliseconds since 1970 on the clock of whoever asked. */
  issuedAt: z.int(),
});
export type ResolveOrder = z.infer<typeof ResolveOrder>;

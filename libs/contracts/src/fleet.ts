/** What a fleet is asked for beyond one migration: a target that fits, limits, and hosts that are emptied. */
import { z } from 'zod';
import { Bandwidth } from './bandwidth.ts';
import { Failure } from './failure.ts';
import { ContainerId, HostName, MigrationId } from './names.ts';
import { RuntimeName } from './runtime.ts';

/** By the age of a host's last announcement. */
export const HostState = z.enum(['online', 'unreachable', 'offline']);
export type HostState = z.infer<typeof HostState>;

export const LabelName = z.string().regex(/^[\w./-]{1,63}$/, 'letters, digits, _ . / and -');
export const LabelValue = z.string().regex(/^[\w./:=+-]{0,63}$/, 'letters, digits, _ . / : = + and -');
export const Labels = z.record(LabelName, LabelValue);
export type Labels = z.infer<typeof Labels>;

/** A target that is still to be found: any host with these labels that fits, but none of `avoid`. */
export const Place = z.object({ labels: Labels.default({}), avoid: z.array(HostName).max(64).default([]) });
export type Place = z.infer<typeof Place>;

/** Stands for the target of a request until one is found; no host may be called so. */
export const UNPLACED = 'auto';

/** A host that could not take the container after all, and why. */
export const PassedOver = z.object({ host: HostName, failure: Failure });
export type PassedOver = z.infer<typeof PassedOver>;

/** Which migration is begun first when there are more than the limits let through. */
export const Priority = z.enum(['high', 'normal', 'low']);
export type Priority = z.infer<typeof Priority>;

const atOnce = z.int().min(1).max(100_000);
const HostLimits = z.object({
  out: atOnce.optional(),
  in: atOnce.optional(),
  bandwidth: Bandwidth.optional(),
});

/** How many migrations at the same time, and what they may take of the network. Defaults protect: what a host sends or receives shares its disks and its network. */
export const Limits = z.object({
  /** Leaving one host. */
  out: atOnce.default(2),
  /** Arriving at one host. */
  in: atOnce.default(2),
  /** In the whole fleet. */
  fleet: atOnce.default(256),
  /** Open migrations, those that wait included; one more is refused. */
  queue: atOnce.default(20_000),
  /** Bytes per second that migrations may take together of a host's link to the network, each way; null: as many as go. */
  bandwidth: Bandwidth.nullable().default(null),
  /** Hosts with limits of their own. */
  hosts: z.record(HostName, HostLimits).default({}),
});
export type Limits = z.infer<typeof Limits>;

/** Asks coordinators to empty a host, or to bring back what left it. Becomes the first part of its migrations' ids. */
export const FleetOrder = z.object({
  v: z.literal(1),
  kind: z.enum(['drain', 'bring-back']),
  id: MigrationId.refine((id) => id.length <= 40, 'at most 40 characters'),
  host: HostName,
  /** Moves at the same time. */
  parallel: z.int().min(1).max(64),
  /** Milliseconds after which no further move is begun. */
  deadlineMs: z.int().min(1000).nullable(),
  /** Where containers may go. */
  labels: Labels.default({}),
  force: z.boolean().default(false),
  priority: Priority.default('normal'),
  /** What is brought back: each container from where it went. */
  moves: z
    .array(z.object({ container: ContainerId, runtime: RuntimeName, from: HostName }))
    .max(500)
    .default([]),
  /** Milliseconds since 1970 on the clock of whoever asked. */
  requestedAt: z.int(),
});
export type FleetOrder = z.infer<typeof FleetOrder>;

/** One container of a drain. `stays` and `left` are ends. */
export const DrainMove = z.object({
  container: ContainerId,
  runtime: RuntimeName,
  from: HostName,
  /** Where it went or goes; null until that is known. */
  to: HostName.nullable(),
  /** Bytes, as announced; null where nobody knows. */
  memory: z.number().nullable(),
  state: z.enum(['waiting', 'moving', 'left', 'stays']),
  migration: MigrationId.nullable(),
  /** How often it was asked for. */
  tries: z.int().min(0),
  /** Why it stays. */
  failure: Failure.nullable(),
});
export type DrainMove = z.infer<typeof DrainMove>;

/**
 * A drain as it stands. `incomplete`: something could not leave; `stopped`: the host was opened again meanwhile; `refused`: nothing
 * was begun.
 */
export const DrainReport = z.object({
  v: z.literal(1),
  id: MigrationId,
  kind: FleetOrder.shape.kind,
  host: HostName,
  state: z.enum(['queued', 'running', 'done', 'incomplete', 'stopped', 'refused']),
  parallel: z.int(),
  startedAt: z.number(),
  deadlineAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  moves: z.array(DrainMove),
  /** Why it was refused. */
  failure: Failure.nullable().default(null),
});
export type DrainReport = z.infer<typeof DrainReport>;
export const isDrainOver = ({ state }: Pick<DrainReport, 'state'>): boolean =>
  state !== 'queued' && state !== 'running';

/** What is to be done at a time: a verb of the CLI, parsed when the schedule was made, signed, and carried out by a coordinator. */
import { z } from 'zod';
import { Failure } from './failure.ts';
import { FleetOrder } from './fleet.ts';
import { MigrationRequest } from './migration.ts';
import { MigrationId } from './names.ts';

/** Its runs are migrations named `<schedule>-<time>`, so it leaves room for the time. */
export const ScheduleName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower case letter, then lower case letters, digits and dashes');
export type ScheduleName = z.infer<typeof ScheduleName>;

/** What one run does. `request` and `order` carry the schedule's own name as their id: each run gets one of its own. */
export const ScheduledWork = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('migrate'), request: MigrationRequest }),
  z.object({ kind: z.literal('drain'), order: FleetOrder }),
]);
export type ScheduledWork = z.infer<typeof ScheduledWork>;

export const Schedule = z.object({
  v: z.literal(1),
  kind: z.literal('schedule'),
  name: ScheduleName,
  /** Five fields of crontab(5), six with seconds in front, or `@daily` and its like. */
  pattern: z.string().max(128),
  /** IANA name of the zone in which the pattern is meant. */
  timeZone: z.string().max(64),
  /** What was typed, for people. */
  words: z.array(z.string().max(1024)).min(1).max(128),
  work: ScheduledWork,
  /** Milliseconds after its time that a run may still begin; a later one is missed. */
  graceMs: z.int().min(1000).max(86_400_000),
  /** Milliseconds since 1970 on the clock of whoever made it. */
  issuedAt: z.int(),
});
export type Schedule = z.infer<typeof Schedule>;

/** One run now, whatever the time is. */
export const RunScheduleOrder = z.object({
  v: z.literal(1),
  kind: z.literal('run-schedule'),
  name: ScheduleName,
  /** Tells this order from every other, so that none is obeyed twice. */
  nonce: z.string().regex(/^[a-z0-9]{8,64}$/),
  issuedAt: z.int(),
});
export type RunScheduleOrder = z.infer<typeof RunScheduleOrder>;

/** Schedules of a name are over, whatever may still be found of them. */
export const RemoveScheduleOrder = z.object({
  v: z.literal(1),
  kind: z.literal('remove-schedule'),
  name: ScheduleName,
  /** Those that were made until then (`issuedAt`): milliseconds since 1970. */
  upTo: z.int(),
});
export type RemoveScheduleOrder = z.infer<typeof RemoveScheduleOrder>;

/**
 * What became of one time: `started`; `missed` (no coordinator was there in time); `skipped` (the run before was still under
 * way); `refused` (with its failure).
 */
export const ScheduleRun = z.object({
  /** Milliseconds since 1970: the time it was due at, and at which a coordinator looked at it. */
  dueAt: z.number(),
  seenAt: z.number(),
  outcome: z.enum(['started', 'missed', 'skipped', 'refused']),
  /** Times that were missed, this one included. */
  missed: z.int().min(0).default(0),
  /** The run's name: the migration's id. Null when nothing was begun. */
  id: MigrationId.nullable(),
  failure: Failure.nullable().default(null),
});
export type ScheduleRun = z.infer<typeof ScheduleRun>;

/** Characters that the name of a schedule of drains may have: an order's id is the first part of others. */
export const DRAIN_NAME_LENGTH = 23;

/** `nightly-20260111t030000z`: the same schedule and time are one run, whoever carries it out. */
export const runId = (name: ScheduleName, at: number): MigrationId =>
  `${name}-${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '').toLowerCase()}z`;

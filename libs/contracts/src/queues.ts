/** Names in Redis, in one place. Everything carries the hash tag `{cmt}` so that a Redis Cluster keeps it in one slot. */
import { z } from 'zod';
import type { Epoch, HostName, MigrationId } from './names.ts';

export const PREFIX = '{cmt}';

/** Queue of migrations, worked by coordinators. */
export const MIGRATIONS_QUEUE = 'cmt.migrations';

/** Queue of what coordinators are asked for beside migrations: schedules that are due, and orders about them. */
export const ORDERS_QUEUE = 'cmt.orders';
/** Queue of drains, worked by coordinators. */
export const FLEET_QUEUE = 'cmt.fleet';

/** Queue of one host's legs, worked by that host's worker. */
export const hostQueue = (host: HostName): string => `cmt.host.${host}`;

export const keys = {
  saga: (migration: MigrationId) => `${PREFIX}:saga:${migration}`,
  /** Migrations by the time they were asked for. */
  sagas: `${PREFIX}:sagas`,
  decision: (migration: MigrationId, epoch: Epoch) => `${PREFIX}:decision:${migration}:${epoch}`,
  /** An operator's word about a migration that nobody could decide: a `Resolution`. */
  resolution: (migration: MigrationId) => `${PREFIX}:resolution:${migration}`,
  /** Hash of host to `Alarm`: what must not be and is, of one migration. */
  alarms: (migration: MigrationId) => `${PREFIX}:alarms:${migration}`,
  /** Hash of counters that coordinators keep for the metrics (libs/queue/src/tally.ts). */
  tally: `${PREFIX}:tally`,
  /** Hash of field of `Tuning` to the signed `TuneOrder` that set it last. */
  tuning: (migration: MigrationId) => `${PREFIX}:tuning:${migration}`,
  cancel: (migration: MigrationId) => `${PREFIX}:cancel:${migration}`,
  /** Stream of a migration's events, for `watch` and `logs`. */
  events: (migration: MigrationId) => `${PREFIX}:events:${migration}`,
  /** Hash of schedule to the signed `RemoveScheduleOrder` about its earlier ones. */
  removedSchedules: `${PREFIX}:removed-schedules`,
  /** List of a schedule's latest runs, newest first. */
  scheduleRuns: (schedule: string) => `${PREFIX}:schedule-runs:${schedule}`,
  host: (host: HostName) => `${PREFIX}:host:${host}`,
  hosts: `${PREFIX}:hosts`,
  /** Hash of limit to number: what differs from the defaults. */
  limits: `${PREFIX}:limits`,
  /** Set of migrations that have not ended. */
  open: `${PREFIX}:open`,
  /** Hash of the migrations that hold a place of a limit, to the bytes of memory they carry (`out:host1`, `fleet` …). */
  slots: (limit: string) => `${PREFIX}:slots:${limit}`,
  /** Migrations that wait for a place of a limit, the first to go first. */
  waiting: (limit: string) => `${PREFIX}:waiting:${limit}`,
  /** Hash of drained hosts to the drain that closed them. */
  drained: `${PREFIX}:drained`,
  /** Hash of host to the newest `DrainReport` about it. */
  drains: `${PREFIX}:drains`,
  /** Hash of order to the order as it was signed. */
  orders: `${PREFIX}:orders`,
  /** Renewed by every coordinator while it takes migrations. */
  coordinator: `${PREFIX}:coordinator`,
  /** Somebody asked for the end of this leg: read by a worker that missed the message. */
  stop: (host: HostName, leg: string) => `${PREFIX}:stop:${host}:${leg}`,
  /** Channels. */
  control: `${PREFIX}:control`,
  wake: `${PREFIX}:wake`,
};

/** Locks and stalls: a dead worker's job starts again when its lock has run out and the next check has seen that. */
export const LOCK_MS = 10_000;
export const STALLED_CHECK_MS = 3_000;
/** Without a lock renewal for this long a step stops itself, before anybody else may start it. */
export const SELF_FENCE_MS = 8_000;

/** Bytes of JSON a job may hold. */
export const MAX_JOB_BYTES = 64 * 1024;

/** A signed job: the exact bytes that were signed, and who signed them. */
export const Sealed = z.object({
  body: z.string().max(MAX_JOB_BYTES),
  /** Key id: the first 16 hex digits of the SHA-256 of the public key. */
  key: z.string().regex(/^[0-9a-f]{16}$/),
  /** Ed25519 over queue name, a zero byte, and body; base64. */
  signature: z.string().max(128),
});
export type Sealed = z.infer<typeof Sealed>;

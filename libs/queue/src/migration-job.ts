/** A migration as a BullMQ job, and what must be settled before its job may end. */
import {
  keys,
  MAX_JOB_BYTES,
  MIGRATIONS_QUEUE,
  PREFIX,
  type MigrationId,
  type Priority,
  type Sealed,
} from '@cmt/contracts';
import type { JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { jsonOrText } from './json-text.ts';
import { migrationJobId, migrationJobKey } from './migration-key.ts';
import { openQueue } from './open-queue.ts';
import { Fenced } from './ownership.ts';
import { runScript } from './script.ts';
import { traced } from './traces.ts';

const migrationOptions: JobsOptions = {
  // Who gives up is the saga. What is thrown is a lost lock, a shutdown or a broken coordinator.
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 1000 },
  sizeLimit: MAX_JOB_BYTES,
  removeOnComplete: { age: 7 * 24 * 3600, count: 10_000 },
};

export const openMigrationsQueue = (redis: Redis): Queue => openQueue(redis, MIGRATIONS_QUEUE, traced());

/** BullMQ takes jobs without a priority first, then 1 before 2. What must go on (orders, recoveries) has none. */
const RANKS: Readonly<Record<Priority, { readonly priority: number }>> = {
  high: { priority: 1 },
  normal: { priority: 2 },
  low: { priority: 3 },
};

/**
 * Adds the job of a migration; one of that id that is there already is left as it is.
 * @param order a `Sealed`, `FleetJob` or `RecoveryOrder`; anything else is refused by whoever takes the job
 */
export async function addMigration(
  queue: Queue,
  id: MigrationId,
  order: unknown,
  priority: Priority = 'normal',
): Promise<void> {
  const rank = RANKS[priority];
  await queue.add('migrate', order, { ...migrationOptions, jobId: migrationJobId(id), ...rank });
}

/**
 * What the migration's job holds: the signed request as it was registered, or the order to recover it; or null. Who opens it judges it,
 * and refuses what is damaged.
 */
export async function readOrder(redis: Redis, id: MigrationId): Promise<unknown> {
  const [sealed, recovery] = await redis.hmget(keys.saga(id), 'sealed', 'recovery');
  const order = sealed ?? recovery;
  return order == null ? null : jsonOrText(order);
}

/** Makes room for a job of that id: BullMQ would take the one that has ended for it. */
export async function removeEnded(queue: Queue, id: MigrationId): Promise<void> {
  const job = await queue.getJob(migrationJobId(id));
  if (job !== undefined && (await job.isCompleted())) await job.remove();
}

/**
 * Puts a job in the place of the ended one of a migration, with another body under the same id and lock.
 * @returns false when somebody works on the one that is there
 */
export async function replaceMigration(queue: Queue, id: MigrationId, sealed: Sealed): Promise<boolean> {
  const before = await queue.getJob(migrationJobId(id));
  if (before !== undefined && !(await before.isCompleted())) return false;
  await before?.remove({ removeChildren: false });
  const context = before?.opts.telemetry?.metadata;
  await queue.add('resolve', sealed, {
    ...{ ...migrationOptions, jobId: migrationJobId(id) },
    // What comes of the word belongs to the trace of the migration.
    ...(context === undefined ? {} : { telemetry: { metadata: context, omitContext: true } }),
  });
  return true;
}

const CUT_LOOSE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
return 1
`;

const PENDING = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('SMEMBERS', KEYS[2])
`;

/**
 * Lets go of legs that nobody waits for: BullMQ fails a job that ends before its children.
 * @throws {Fenced}
 */
export async function cutChildrenLoose(redis: Redis, id: MigrationId, token: string): Promise<void> {
  const key = migrationJobKey(id);
  const done = await runScript(redis, CUT_LOOSE, [`${key}:lock`, `${key}:dependencies`], [token]);
  if (done === 0) throw new Fenced('another coordinator has taken the migration over');
}

/** Legs of a migration that have not ended, as `[host, leg]`. @throws {Fenced} */
export async function pendingLegs(redis: Redis, id: MigrationId, token: string): Promise<[string, string][]> {
  const key = migrationJobKey(id);
  const children = await runScript(redis, PENDING, [`${key}:lock`, `${key}:dependencies`], [token]);
  if (children === 0) throw new Fenced('another coordinator has taken the migration over');
  const start = `${PREFIX}:cmt.host.`;
  return (children as string[])
    .filter((child) => child.startsWith(start))
    .map((child) => child.slice(start.length).split(':') as [string, string]);
}

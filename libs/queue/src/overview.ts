/**
 * Looks at everything at once, for who shows it: which migrations there are, how they stand, what was told of one.
 * INVARIANT: nothing here writes; a Redis user that may only read is enough.
 */
import {
  hostQueue,
  keys,
  MIGRATIONS_QUEUE,
  MigrationReport,
  PREFIX,
  type HostName,
  type MigrationEvent,
  type MigrationId,
} from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { reaching } from './connection.ts';
import { parseEvent } from './events.ts';
import { jsonText } from './json-text.ts';
import { migrationOf } from './migration-key.ts';
import { openQueue } from './open-queue.ts';

const Report = jsonText(MigrationReport);

export type { Queue as BoardQueue } from 'bullmq';

/** Ids of the migrations that coordinators work on now, and of the newest ones; each once. */
export async function recentMigrations(
  redis: Redis,
  limits: { readonly active: number; readonly newest: number },
): Promise<{ readonly active: readonly MigrationId[]; readonly all: readonly MigrationId[] }> {
  const working = `${PREFIX}:${MIGRATIONS_QUEUE}:active`;
  const [jobs, newest] = await reaching(
    redis,
    Promise.all([
      redis.lrange(working, 0, limits.active - 1),
      redis.zrevrange(keys.sagas, 0, limits.newest - 1),
    ]),
  );
  const active = jobs.map(migrationOf);
  return { active, all: [...new Set([...active, ...newest])] };
}

/** Changes whenever the report of that migration may have. */
export type Mark = string;

/** Marks of migrations, in the order asked for; null for what nobody knows any more. */
export async function marksOf(redis: Redis, ids: readonly MigrationId[]): Promise<(Mark | null)[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(keys.saga(id), 'status', 'version');
  const answers = (await reaching(redis, pipeline.exec())) ?? [];
  return answers.map(([error, answer]) => {
    if (error) throw error;
    const [status, version] = answer as (string | null)[];
    return status == null ? null : `${status} ${version ?? '0'}`;
  });
}

/** Reports of migrations, in the order asked for; null for what is gone or not readable. */
export async function reportsOf(
  redis: Redis,
  ids: readonly MigrationId[],
): Promise<(MigrationReport | null)[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hget(keys.saga(id), 'report');
  const answers = (await reaching(redis, pipeline.exec())) ?? [];
  return answers.map(([error, answer]) => {
    if (error) throw error;
    return Report.safeParse(answer).data ?? null;
  });
}

/** Something that was told, its place in the stream, and when Redis heard it: one clock for all hosts (ms since 1970). */
export interface ToldEvent {
  readonly place: string;
  readonly heardAt: number;
  readonly event: MigrationEvent;
}

/** What was told of a migration after that place (`0` for the beginning), at most `count` entries. */
export async function eventsAfter(
  redis: Redis,
  id: MigrationId,
  place: string,
  count: number,
): Promise<{ readonly told: readonly ToldEvent[]; readonly place: string }> {
  const entries = await reaching(redis, redis.xrange(keys.events(id), `(${place}`, '+', 'COUNT', count));
  const told = entries.flatMap(([entry, fields]) => {
    const event = parseEvent(fields);
    return event === null ? [] : [{ place: entry, heardAt: Number(entry.split('-')[0]), event }];
  });
  return { told, place: entries.at(-1)?.[0] ?? place };
}

/** Queue objects for Bull Board and for counting: opened without a write, on the caller's connection. */
export const openMigrationsView = (redis: Redis): Queue => openView(redis, MIGRATIONS_QUEUE);
export const openHostView = (redis: Redis, host: HostName): Queue => openView(redis, hostQueue(host));

const openView = (redis: Redis, name: string): Queue => openQueue(redis, name, { skipMetasUpdate: true });

/** Jobs of a queue by state. */
export async function depthOf(queue: Queue): Promise<Record<string, number>> {
  return await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'waiting-children', 'failed');
}

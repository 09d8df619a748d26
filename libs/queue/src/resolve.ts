/**
 * A client's side of an operator's word: a signed order takes the place of the ended job of its migration, so that it is
 * worked on under the very lock that the migration was.
 *
 * INVARIANTS
 * - The order names the version of the migration that the operator saw: about any other standstill it changes nothing.
 * - A job that somebody works on is never replaced.
 */
import {
  CmtError,
  Failure,
  keys,
  MIGRATIONS_QUEUE,
  type HostName,
  type MigrationId,
  type MigrationReport,
  type ResolveOrder,
} from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { pause } from './bounded.ts';
import { reaching } from './connection.ts';
import { jsonText } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import { openMigrationsQueue, replaceMigration } from './migration-job.ts';
import { migrationJobId, migrationJobKey } from './migration-key.ts';
import { answerIn } from './order-job.ts';
import { seal } from './seal.ts';
import { knownSaga, type StoredSaga } from './store.ts';

/** Milliseconds between looks at an order that nobody has begun or ended yet. */
const LOOK_MS = 100;

/** What a coordinator made of an order: nothing, or why it refused it. */
const Verdict = jsonText(z.object({ refused: Failure.optional() }));

/**
 * The migration, if an operator's word about this host is what it waits for.
 * @throws {CmtError} MIGRATION_UNKNOWN, MIGRATION_UNREADABLE, NOT_STUCK, NOT_A_SIDE
 */
export async function waitingForWord(redis: Redis, id: MigrationId, fenced: HostName): Promise<StoredSaga> {
  const saga = await knownSaga(redis, id);
  refuseUnlessWaiting(saga.report, fenced);
  return saga;
}

/** @throws {CmtError} NOT_STUCK, NOT_A_SIDE */
export function refuseUnlessWaiting({ id, state, from, to }: MigrationReport, fenced: HostName): void {
  if (fenced !== from && fenced !== to)
    throw new CmtError('NOT_A_SIDE', { migration: id, host: fenced, from, to });
  if (state !== 'needs-operator')
    throw new CmtError('NOT_STUCK', { migration: id, reason: `it is ${state}` });
}

/**
 * Says the operator's word: that `fenced` is powered off or cut off for good.
 * @param version of the migration that the operator has seen
 * @throws {CmtError} as `waitingForWord`, and NOT_STUCK when somebody works on the migration
 */
export async function requestResolve(
  redis: Redis,
  { id, fenced, version }: { readonly id: MigrationId; readonly fenced: HostName; readonly version: number },
  signingKeys: KeyPair,
): Promise<void> {
  await waitingForWord(redis, id, fenced);
  const order: ResolveOrder = {
    ...{ v: 1, kind: 'resolve', migration: id, fenced, version },
    ...{ nonce: randomBytes(16).toString('hex'), issuedAt: Date.now() },
  };
  const sealed = seal(MIGRATIONS_QUEUE, order, signingKeys);
  if (!(await reaching(redis, replaceMigration(openMigrationsQueue(redis), id, sealed))))
    throw new CmtError('NOT_STUCK', { migration: id, reason: 'somebody works on it this moment' });
}

/** Resolves when the migration has moved on from `version`, or its order has ended. Stops looking when the signal aborts. */
export async function untilTaken(
  redis: Redis,
  { id, version }: { readonly id: MigrationId; readonly version: number },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const looks = [redis.hget(keys.saga(id), 'version'), redis.hget(migrationJobKey(id), 'finishedOn')];
    const [now, ended] = await reaching(redis, Promise.all(looks));
    if (Number(now) !== version || ended != null) return;
    await pause(LOOK_MS, signal);
  }
}

/**
 * Why the order was refused, or null when it was obeyed, once its job has ended. Stops looking when the signal aborts.
 * @throws {CmtError} ANSWER_UNREADABLE
 */
export async function refusalOf(redis: Redis, id: MigrationId, signal: AbortSignal): Promise<Failure | null> {
  while (!signal.aborted) {
    const key = migrationJobKey(id);
    const [value, ended] = await reaching(redis, redis.hmget(key, 'returnvalue', 'finishedOn'));
    if (ended != null) return answerIn(value ?? '{}', Verdict).refused ?? null;
    await pause(LOOK_MS, signal);
  }
  return null;
}

/** Whether a job of the migrations queue is this migration's own. */
export const isJobOf = (jobId: string | undefined, id: MigrationId): boolean => migrationJobId(id) === jobId;

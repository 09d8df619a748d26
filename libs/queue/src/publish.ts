/** A client's side of the queue: asking for migrations, and for their end. */
import {
  CmtError,
  isEnd,
  keys,
  MIGRATIONS_QUEUE,
  type MigrationId,
  type MigrationReport,
  type MigrationRequest,
  type Sealed,
} from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { sendControl } from './bus.ts';
import { reaching } from './connection.ts';
import type { FleetJob } from './fleet-job.ts';
import type { KeyPair } from './key-pair.ts';
import { addMigration, openMigrationsQueue, readOrder } from './migration-job.ts';
import { call } from './places.ts';
import { seal } from './seal.ts';
import { readSaga, registerSaga, statusOf } from './store.ts';
import { span } from './traces.ts';

export interface Submitted {
  /** False when a migration of that id was known: then nothing new was asked for, and `report` is how that one stands. */
  readonly isNew: boolean;
  readonly report: MigrationReport;
}

/** Seconds that a wish to cancel is kept: 7 days. */
const CANCEL_KEPT_S = 7 * 24 * 3600;

/**
 * Asks for a migration. The same id is one migration, however often and from wherever it is asked for.
 * @param redis of role `producer`
 * @param limit how many migrations may be open
 * @throws {CmtError} REQUEST_INVALID when it is too large; QUEUE_FULL
 */
export function submitMigration(
  redis: Redis,
  request: MigrationRequest,
  signingKeys: KeyPair,
  limit?: number,
): Promise<Submitted> {
  const sealed = seal(MIGRATIONS_QUEUE, request, signingKeys);
  const facts = { 'cmt.migration': request.id, 'cmt.from': request.source, 'cmt.to': request.target };
  return span('migrate', facts, () => reaching(redis, submit(redis, request, sealed, limit)));
}

/** Asks for a migration under an order that somebody trusted has signed (fleet-job.ts). @throws {CmtError} QUEUE_FULL */
export const submitUnder = (
  redis: Redis,
  request: MigrationRequest,
  under: Sealed,
  limit?: number,
): Promise<Submitted> => reaching(redis, submit(redis, request, { v: 1, under, request }, limit));

async function submit(
  redis: Redis,
  request: MigrationRequest,
  sealed: Sealed | FleetJob,
  limit?: number,
): Promise<Submitted> {
  const report = firstReport(request);
  if (await registerSaga(redis, report, sealed, limit)) {
    await enqueue(redis, request, sealed);
    return { isNew: true, report };
  }
  const known = (await readSaga(redis, request.id))?.report ?? report;
  const first = await readOrder(redis, request.id);
  // Whoever registered it may have died before queueing it. BullMQ keeps a job that is there.
  if (!isEnd(known.state) && first !== null) await enqueue(redis, request, first);
  return { isNew: false, report: known };
}

async function enqueue(redis: Redis, { id, priority }: MigrationRequest, order: unknown): Promise<void> {
  await addMigration(queueOn(redis), id, order, priority);
}

const queues = new WeakMap<Redis, ReturnType<typeof openMigrationsQueue>>();

/** The queue of migrations on the caller's connection; it has nothing of its own that would have to be closed. */
function queueOn(redis: Redis): ReturnType<typeof openMigrationsQueue> {
  const known = queues.get(redis) ?? openMigrationsQueue(redis);
  queues.set(redis, known);
  return known;
}

/**
 * Asks for the end of a migration; its coordinator decides whether that is still possible.
 * @throws {CmtError} MIGRATION_UNKNOWN, or TOO_LATE_TO_CANCEL when it has ended, or the container is the target's already
 */
export async function requestCancel(redis: Redis, id: MigrationId, reason: string): Promise<void> {
  const state = await statusOf(redis, id);
  if (state === null) throw new CmtError('MIGRATION_UNKNOWN', { migration: id });
  const why = state === 'committed' ? 'the container already belongs to the target' : `it is ${state}`;
  if (isEnd(state) || state === 'committed')
    throw new CmtError('TOO_LATE_TO_CANCEL', { migration: id, reason: why });
  await reaching(redis, redis.set(keys.cancel(id), reason, 'EX', CANCEL_KEPT_S));
  await reaching(redis, sendControl(redis, { kind: 'cancel', migration: id }));
  await hurry(redis, id);
}

/** One that waits for a limit is looked at now, not when its turn comes. */
async function hurry(redis: Redis, id: MigrationId): Promise<void> {
  await call(queueOn(redis), id);
}

/** Whether any coordinator takes migrations. */
export const coordinatorAlive = async (redis: Redis): Promise<boolean> =>
  (await reaching(redis, redis.exists(keys.coordinator))) === 1;

/** How a migration stands that nobody has begun. */
export const firstReport = (request: MigrationRequest): MigrationReport => ({
  v: 1,
  id: request.id,
  container: request.container ?? request.sourceBundle ?? '',
  from: request.source,
  to: request.target,
  state: 'queued',
  decision: null,
  step: null,
  epoch: 1,
  rounds: 0,
  roundsNote: null,
  blackoutMs: null,
  blackout: null,
  totalMs: 0,
  steps: [],
  findings: [],
  hooks: [],
  failure: null,
  message: null,
  remedy: null,
  request,
});

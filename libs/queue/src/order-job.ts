/** Orders to coordinators as BullMQ jobs, and waiting for the answer to one. */
import { CmtError, MAX_JOB_BYTES, ORDERS_QUEUE, PREFIX, type Sealed } from '@cmt/contracts';
import type { JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { z } from 'zod';
import { pause } from './bounded.ts';
import { reaching } from './connection.ts';
import { AnyJson, problemOf } from './json-text.ts';
import { openQueue } from './open-queue.ts';

/** What is thrown is a lost lock or a shutdown: the order is begun again. */
export const orderOptions: JobsOptions = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 1000 },
  sizeLimit: MAX_JOB_BYTES,
  removeOnComplete: { age: 24 * 3600, count: 1000 },
};

/** Milliseconds between looks at an order that has not been answered. */
const LOOK_MS = 50;

export const openOrdersQueue = (redis: Redis): Queue => openQueue(redis, ORDERS_QUEUE);

export interface Order {
  readonly kind: string;
  readonly nonce: string;
  readonly sealed: Sealed;
}

/** The id of an order's job. */
export const orderJobId = ({ kind, nonce }: Pick<Order, 'kind' | 'nonce'>): string => `${kind}_${nonce}`;

/**
 * Puts an order into the queue and waits for what a coordinator makes of it.
 * @throws {CmtError} COORDINATOR_MISSING when the signal aborts first; the order is withdrawn then if nobody has begun it. ANSWER_UNREADABLE
 */
export async function awaitOrder(
  redis: Redis,
  queue: Queue,
  order: Order,
  signal: AbortSignal,
): Promise<unknown> {
  const jobId = orderJobId(order);
  await queue.add(order.kind, order.sealed, { ...orderOptions, jobId });
  const key = `${PREFIX}:${ORDERS_QUEUE}:${jobId}`;
  while (!signal.aborted) {
    const [value, ended] = await reaching(redis, redis.hmget(key, 'returnvalue', 'finishedOn'));
    if (ended != null) return answerIn(value ?? '{}', AnyJson);
    await pause(LOOK_MS, signal);
  }
  await queue.remove(jobId).catch(() => 0);
  throw new CmtError('COORDINATOR_MISSING');
}

/** What an order came to. @throws {CmtError} ANSWER_UNREADABLE */
export function answerIn<T>(text: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CmtError('ANSWER_UNREADABLE', { problem: problemOf(parsed.error) });
}

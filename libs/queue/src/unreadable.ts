/**
 * Jobs that are not even JSON. BullMQ fails to parse them after it has taken them, so they stay active without a worker,
 * stall, and come back for ever. They are removed: nobody can say what they are.
 */
import { PREFIX } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { AnyJson } from './json-text.ts';

/** Fields that BullMQ parses when it takes a job (classes/job.js, `fromJSON`). */
const PARSED = ['data', 'opts', 'parent'] as const;

/** Removes the unreadable jobs among those that wait, are active or have failed. */
export async function removeUnreadable(redis: Redis, queueName: string, logger: Logger): Promise<void> {
  const base = `${PREFIX}:${queueName}:`;
  const places = [
    ...['active', 'wait'].map((list) => redis.lrange(`${base}${list}`, 0, -1)),
    redis.zrange(`${base}failed`, 0, -1),
  ];
  for (const ids of await Promise.all(places)) {
    for (const id of ids) {
      if (await isReadable(redis, `${base}${id}`)) continue;
      await redis
        .multi()
        .lrem(`${base}active`, 0, id)
        .lrem(`${base}wait`, 0, id)
        .zrem(`${base}failed`, id)
        .srem(`${base}stalled`, id)
        .del(`${base}${id}`, `${base}${id}:lock`)
        .exec();
      logger.warn({ queue: queueName, job: id }, 'removed a job that is not JSON');
    }
  }
}

async function isReadable(redis: Redis, key: string): Promise<boolean> {
  const fields = await redis.hmget(key, ...PARSED);
  return fields.every((text) => text === null || AnyJson.safeParse(text).success);
}

/**
 * Jobs that are not even JSON. BullMQ fails to parse them after it has taken them, so they stay active without a worker,
 * stall, and come back for ever. They are removed: nobody can say what they are.
 */
import { PREFIX } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** Fields that BullMQ parses when it takes a job (classes/job.js, `fromJSON`). */
const PARSED = ['data', 'opts', 'parent'] as const;

/** Removes the unreadable jobs among those that wait or are active. */
export async function removeUnreadable(redis: Redis, queueName: string, logger: Logger): Promise<void> {
  const base = `${PREFIX}:${queueName}:`;
  for (const list of ['active', 'wait']) {
    for (const id of await redis.lrange(`${base}${list}`, 0, -1)) {
      if (await isReadable(redis, `${base}${id}`)) continue;
      await redis
        .multi()
        .lrem(`${base}${list}`, 0, id)
        .srem(`${base}stalled`, id)
        .del(`${base}${id}`, `${base}${id}:lock`)
        .exec();
      logger.warn({ queue: queueName, job: id }, 'removed a job that is not JSON');
    }
  }
}

async function isReadable(redis: Redis, key: string): Promise<boolean> {
  const fields = await redis.hmget(key, ...PARSED);
  return fields.every((text) => text === null || isJson(text));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

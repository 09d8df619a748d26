/** A queue of a test's own, on a Redis of its own. */
import { joinQueueWorld, type QueueParty } from './queue-party.ts';
import { startTestRedis, type TestRedis } from './redis.ts';

export * from './queue-party.ts';

export interface QueueWorld extends QueueParty {
  readonly redis: TestRedis;
}

/** Closing it ends Redis and everybody who takes part here. */
export async function startQueueWorld(): Promise<QueueWorld> {
  const redis = await startTestRedis();
  const world = await joinQueueWorld(redis.url, redis.dir);
  return {
    ...world,
    redis,
    close: async () => {
      await world.close();
      await redis.stop();
    },
  };
}

/** A connection to Redis, as Redis sees it. */
import { openConnection, parseRedisUrl } from '@cmt/queue';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { startTestRedis } from '../support/redis.ts';

it('sends what is asked for in one turn with one write, and each asker gets its answer', async (context) => {
  const server = await startTestRedis();
  context.onTestFinished(() => server.stop());
  const redis = openConnection(parseRedisUrl(server.url), 'worker', pino({ level: 'silent' }));
  context.onTestFinished(() => redis.disconnect());
  const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);
  const before = await reads();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => redis.incrby('sum', at)));
  // One for all of them, one for the question itself.
  expect((await reads()) - before).toBeLessThanOrEqual(4);
  expect(answers.at(-1)).toBe((99 * 100) / 2);
  // What is asked for because of an answer comes in a turn of its own, and in its order.
  await Promise.all(answers.map(() => redis.incr('turns').then(() => redis.rpush('order', 'x'))));
  expect(await redis.llen('order')).toBe(answers.length);
});

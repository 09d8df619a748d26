/** The look for what migrations have left in Redis finds each kind of it, and nothing in a Redis at rest. */
import { hostQueue, keys, MIGRATIONS_QUEUE, PREFIX } from '@cmt/contracts';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { pendingInRedis } from '../support/queue-leftovers.ts';
import { startQueueWorld, type QueueWorld } from '../support/queue-world.ts';

const HOSTS = ['alpha', 'beta'];
const legs = `${PREFIX}:${hostQueue('alpha')}`;
let world: QueueWorld;
beforeAll(async () => {
  world = await startQueueWorld();
});
afterAll(() => world.close());
afterEach(() => world.connection().flushall());

const left = () => pendingInRedis(world.connection(), HOSTS);

describe('what is left in Redis', () => {
  it('is nothing where all has ended and is kept to be looked up', async () => {
    const redis = world.connection();
    await redis.hset(keys.saga('m1'), { status: 'done' });
    await redis.set(keys.decision('m1', 1), 'COMMIT');
    await redis.set(keys.cancel('m1'), 'why', 'EX', 60);
    await redis.zadd(`${legs}:completed`, 1, 'm1_clean');
    await redis.hset(`${legs}:m1_clean`, { name: 'leg' });
    expect(await left()).toEqual([]);
  });

  it.each([
    ['a job that waits', ['rpush', `${legs}:wait`, 'm1_clean'], `${hostQueue('alpha')}: m1_clean is wait`],
    ['a migration under way', ['rpush', `${PREFIX}:${MIGRATIONS_QUEUE}:active`, 'm1'], 'm1 is active'],
    ['a job that failed', ['zadd', `${legs}:failed`, '1', 'm1_clean'], 'm1_clean is failed'],
    ['a job of no list', ['hset', `${legs}:m1_clean`, 'name', 'leg'], `key ${hostQueue('alpha')}:m1_clean`],
    ['a lock', ['set', `${legs}:m1_clean:lock`, 'token'], `key ${hostQueue('alpha')}:m1_clean:lock`],
    ['a key that nobody knows', ['set', `${PREFIX}:stray`, '1'], 'key stray'],
    ['a cancel for ever', ['set', keys.cancel('m1'), 'why'], 'never expires'],
  ])('is told: %s', async (_, [command = '', ...args], told) => {
    await world.connection().call(command, ...args);
    expect((await left()).join('\n')).toContain(told);
  });
});

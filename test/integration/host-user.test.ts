/** A host's own user of Redis: enough for a worker, and for nothing of another host. */
import { keys } from '@cmt/contracts';
import {
  announceOnce,
  consumeLegs,
  DecisionRecord,
  forgetHost,
  lookBeforeJoining,
  openConnection,
  parseRedisUrl,
  raiseAlarm,
  requestTuning,
  setHostUser,
  submitMigration,
  tell,
  type RedisConnection,
} from '@cmt/queue';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  aborted,
  draftOf,
  hostRecordOf,
  LIMITS,
  QUICK,
  reportOf,
  requestOf,
  resultOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';

let world: QueueWorld;
let alpha: RedisConnection;
const password = 'a'.repeat(32);
const addressOf = (user: string) =>
  parseRedisUrl(`redis://${user}:${password}@127.0.0.1:${String(world.redis.port)}`);

beforeAll(async () => {
  world = await startQueueWorld();
  expect(await setHostUser(world.connection(), 'alpha', password)).toBe(false);
  alpha = openConnection(addressOf('cmt-alpha'), 'worker', world.logger);
});
afterAll(async () => {
  alpha.disconnect();
  await world.close();
});

it('is enough for all that a worker does', async () => {
  const { trust, logger } = world;
  await lookBeforeJoining(addressOf('cmt-alpha'), { name: 'alpha', publicKey: '' }, logger);
  await announceOnce(alpha, hostRecordOf('alpha'));
  const ran: string[] = [];
  const options = { redis: alpha, host: 'alpha', concurrency: 4, trust, logger, timing: QUICK };
  const worker = consumeLegs({ ...options, ledgerDir: join(world.redis.dir, 'legs') }, async (leg, lease) => {
    ran.push(leg.task);
    const at = Date.now();
    await tell(alpha, { v: 1, migration: leg.migration, at, host: 'alpha', kind: 'note', text: 'here' });
    await raiseAlarm(alpha, leg.migration, 'alpha', 'an alarm');
    const decisions = new DecisionRecord(addressOf('cmt-alpha'), logger);
    await decisions.settle(leg.migration, 1, 'COMMIT', lease.signal);
    await decisions.resolution(leg.migration, lease.signal);
    decisions.close();
    return resultOf(leg);
  });
  world.coordinator(async (request, lease) => {
    if (request.id === 'tuned') await lease.save({}, reportOf(request, 'running'));
    if (request.id === 'tuned') await aborted(lease.signal);
    await lease.dispatch(draftOf('alpha'), LIMITS, new AbortController().signal);
    await lease.save({}, reportOf(request, 'done'));
  });
  await submitMigration(world.connection(), requestOf('tuned'), world.keys);
  await submitMigration(world.connection(), requestOf('m1'), world.keys);
  await expect
    .poll(async () => world.connection().hget(keys.saga('m1'), 'status'), { timeout: 15_000 })
    .toBe('done');
  const heard = new Promise<unknown>((resolve) => worker.onTuned((id, tuning) => resolve({ id, tuning })));
  await requestTuning(world.connection(), { id: 'tuned', tuning: { bandwidth: 70_000 } }, world.keys);
  expect(await heard).toEqual({ id: 'tuned', tuning: { bandwidth: 70_000 } });
  await worker.close(0);
  expect(ran).toEqual(['inspect.1.1']);
  expect(await world.connection().get(keys.decision('m1', 1))).toBe('COMMIT');
});

it.each<[string, (redis: RedisConnection) => Promise<unknown>]>([
  ['another host’s queue', (redis) => redis.lpush('{cmt}:cmt.host.beta:wait', 'x')],
  ['another host’s announcement', (redis) => redis.set(keys.host('beta'), 'x')],
  ['a saga', (redis) => redis.hset(keys.saga('m1'), 'state', '{}')],
  ['orders', (redis) => redis.lpush('{cmt}:cmt.orders:wait', 'x')],
  ['what is not cmt’s', (redis) => redis.get('other')],
  ['the configuration', (redis) => redis.config('GET', 'requirepass')],
  ['everything at once', (redis) => redis.flushall()],
  ['other users', (redis) => redis.acl('LIST')],
])('may not touch %s', async (_, touch) => {
  await expect(touch(alpha)).rejects.toThrow(/NOPERM|no permissions|can't access/);
});

it('is gone with its host', async () => {
  const redis = world.connection();
  await announceOnce(redis, hostRecordOf('alpha'));
  await forgetHost(redis, 'alpha');
  expect(await redis.acl('USERS')).not.toContain('cmt-alpha');
  expect(await redis.keys('{cmt}:cmt.host.alpha:*')).toEqual([]);
  expect(await redis.zscore(keys.hosts, 'alpha')).toBeNull();
  // Twice is as good as once.
  await forgetHost(redis, 'alpha');
});

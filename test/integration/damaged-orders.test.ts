/** Schedules, and orders about hosts, of which Redis holds something damaged: the others are carried out, and these can be put right. */
import { FleetOrder, keys, ORDERS_QUEUE, PREFIX, Schedule } from '@cmt/contracts';
import { beginDrain } from '@cmt/fleet';
import {
  addSchedule,
  consumeDrains,
  consumeOrders,
  drainOf,
  drains,
  removeSchedule,
  runSchedule,
  schedules,
  submitOrder,
  type DrainLease,
  type RedisConnection,
} from '@cmt/queue';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../support/failure-of.ts';
import { QUICK, requestOf, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';

let world: QueueWorld;
let redis: RedisConnection;
beforeAll(async () => {
  world = await startQueueWorld();
  redis = world.connection();
});
afterAll(() => world.close());

const NEVER = new AbortController().signal;
const SOON = { timeout: 15_000 };

describe.each([
  ['not JSON', '{torn'],
  ['of another form', '{"colour":"blue"}'],
  ['without a sense', JSON.stringify({ body: '{}', key: '0'.repeat(16), signature: 'x' })],
])('a schedule that is %s', (_, text) => {
  const every = (name: string): Schedule =>
    Schedule.parse({
      ...{ v: 1, kind: 'schedule', name, pattern: '* * * * * *', timeZone: 'UTC', words: ['migrate', 'web'] },
      ...{ work: { kind: 'migrate', request: requestOf(name) }, graceMs: 60_000, issuedAt: Date.now() },
    });
  const repeat = (name: string) => `${PREFIX}:${ORDERS_QUEUE}:repeat:${name}`;

  it('is named, and the others are listed, and fire; it can be replaced and removed', async () => {
    const [ledgerDir, removedDir] = ['orders', 'removed'].map((dir) => join(world.redis.dir, dir)) as [
      string,
      string,
    ];
    const started: string[] = [];
    for (const name of ['torn', 'well']) await addSchedule(redis, every(name), world.keys, true);
    await redis.hset(repeat('torn'), 'data', text);
    await redis.lpush(keys.scheduleRuns('well'), '{torn');
    const unreadable: string[] = [];
    const listed = await schedules(redis, (name, why) => unreadable.push(`${name}: ${why}`));
    expect(listed.map(({ schedule }) => schedule.name)).toEqual(['well']);
    expect(unreadable).toEqual([expect.stringMatching(/^torn: ./)]);
    const { keys: own, trust, logger } = world;
    const orders = consumeOrders(
      {
        redis: world.connection(),
        trust,
        logger,
        keys: own,
        name: 'test',
        ledgerDir,
        removedDir,
        timing: QUICK,
      },
      {
        start: (work, id) => Promise.resolve(void started.push(`${work.kind} ${id}`)),
        isUnderWay: () => Promise.resolve(false),
      },
    );
    await expect
      .poll(() => started.filter((run) => run.startsWith('migrate well-')).length, SOON)
      .toBeGreaterThan(1);
    const damaged = { code: 'SCHEDULE_UNREADABLE', details: { name: 'torn' } };
    expect(await failureOf(runSchedule(redis, 'torn', own, NEVER))).toMatchObject(damaged);
    expect(await failureOf(addSchedule(redis, every('torn'), own, false))).toMatchObject(damaged);
    expect(await addSchedule(redis, every('torn'), own, true)).toBe(true);
    await expect.poll(() => started.some((run) => run.startsWith('migrate torn-')), SOON).toBe(true);
    await redis.hset(repeat('torn'), 'data', text);
    for (const name of ['torn', 'well']) await removeSchedule(redis, name, own);
    expect(await schedules(redis)).toEqual([]);
    await orders.close(1000);
  });
});

describe.each([
  ['not JSON', '{torn'],
  ['of another form', '{"v":7,"colour":"blue"}'],
])('an order about a host whose report is %s', (form, text) => {
  const orderFor = (id: string) =>
    FleetOrder.parse({
      ...{ v: 1, kind: 'drain', id: `${id}${form.length}`, host: 'alpha', parallel: 1, deadlineMs: null },
      requestedAt: Date.now(),
    });
  const submit = (order: FleetOrder) => submitOrder(redis, order, beginDrain(order, Date.now()), world.keys);
  const taking = (handler: (lease: DrainLease) => Promise<void>) =>
    consumeDrains(
      {
        ...{
          redis: world.connection(),
          concurrency: 1,
          trust: world.trust,
          name: 'test',
          logger: world.logger,
        },
        ...{ ledgerDir: join(world.redis.dir, 'drains'), timing: QUICK },
      },
      handler,
    );

  it('makes room for another, is mended by who works on it, and is ended by who takes it up', async () => {
    await redis.hset(keys.drains, 'beta', text);
    const first = orderFor('first');
    await redis.hset(keys.drains, 'alpha', text);
    expect((await submit(first)).id).toBe(first.id);
    expect((await drains(redis)).map(({ host }) => host)).toEqual(['alpha']);
    const mending = taking(async (lease) => {
      const report = await lease.load();
      await redis.hset(keys.drains, 'alpha', text);
      await lease.save({ ...report!, state: 'done', endedAt: 1 });
    });
    await expect.poll(async () => (await drainOf(redis, 'alpha'))?.state, SOON).toBe('done');
    await mending.close(1000);
    const second = orderFor('second');
    await submit(second);
    await redis.hset(keys.drains, 'alpha', text);
    const taken: string[] = [];
    const ending = taking((lease) => Promise.resolve(void taken.push(lease.order.id)));
    await expect
      .poll(() => drainOf(redis, 'alpha'), SOON)
      .toMatchObject({ id: second.id, state: 'incomplete', failure: { code: 'DRAIN_DAMAGED' } });
    await ending.close(1000);
    expect(taken).toEqual([]);
  });
});

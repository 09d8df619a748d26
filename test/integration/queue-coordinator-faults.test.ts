/** Coordinators that are killed, stopped and cut off, and migrations that BullMQ let go of. */
import { hostQueue, MIGRATIONS_QUEUE, PREFIX } from '@cmt/contracts';
import { Fenced, LOCK_TIMING, parseRedisUrl, readSaga, seal } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { registerSaga, saveSaga } from '../../libs/queue/src/store.ts';
import {
  aProcess,
  aWorld,
  isDone,
  it,
  NEVER,
  oneLeg,
  recorder,
  stateOf,
  submit,
  until,
} from '../support/queue-faults.ts';
import { aborted, draftOf, LIMITS, promised, reportOf, requestOf, resultOf } from '../support/queue-world.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

describe.concurrent('a coordinator', () => {
  it('that is killed is replaced within 15 s, and its leg is found, not asked for twice', async (context) => {
    const world = await aWorld(context);
    const release = promised();
    const legs = recorder(() => release.promise);
    world.worker('alpha', legs.run, { timing: LOCK_TIMING });
    const first = aProcess(context, {
      role: 'coordinator',
      url: world.redis.url,
      dir: world.redis.dir,
      timing: 'product',
    });
    await submit(world, 'm1');
    await Promise.all([first.hears('began'), legs.began]);
    const second = aProcess(context, {
      role: 'coordinator',
      url: world.redis.url,
      dir: world.redis.dir,
      timing: 'product',
    });
    await second.hears('ready');
    first.signal('SIGKILL');
    const killedAt = Date.now();
    const { at, why } = await second.hears('began');
    expect(at - killedAt).toBeLessThan(15_000);
    expect(JSON.parse(why ?? '')).toHaveProperty('by');
    release.keep();
    await second.hears('ended');
    expect(legs.runs).toHaveLength(1);
    expect(await stateOf(world, 'm1')).toBe('done');
  });

  it('finds the leg of one before it while it stores what asks for it', async (context) => {
    const world = await aWorld(context);
    const release = promised();
    const legs = recorder(() => release.promise);
    const tasks: string[] = [];
    world.worker('alpha', (leg, lease) => {
      tasks.push(leg.task);
      return legs.run(leg, lease);
    });
    const first = aProcess(context, { role: 'coordinator', url: world.redis.url, dir: world.redis.dir });
    await submit(world, 'm1');
    await Promise.all([first.hears('began'), legs.began]);
    first.signal('SIGKILL');
    world.coordinator(async (request, lease) => {
      const legNames = [draftOf('alpha'), draftOf('alpha', 'inspect.1.2')];
      await lease.save({}, reportOf(request, 'running'), legNames);
      const both = legNames.map((draft) => lease.dispatch(draft, LIMITS, NEVER));
      release.keep();
      await Promise.all(both);
      await lease.save({}, reportOf(request, 'done'));
    });
    await isDone(world, 'm1');
    expect(tasks.sort()).toEqual(['inspect.1.1', 'inspect.1.2']);
  });

  it('that is killed again and again loses no migration', async (context) => {
    const world = await aWorld(context);
    const orders = { role: 'coordinator', url: world.redis.url, dir: world.redis.dir } as const;
    await submit(world, 'm1');
    for (let kills = 0; kills < 3; kills += 1) {
      const coordinator = aProcess(context, orders);
      await coordinator.hears('began');
      coordinator.signal('SIGKILL');
    }
    world.worker('alpha', (leg) => Promise.resolve(resultOf(leg)));
    aProcess(context, orders);
    await isDone(world, 'm1');
    const job = `${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1`;
    expect(Number(await world.connection().hget(job, 'stc'))).toBeGreaterThanOrEqual(3);
    expect(
      await world.connection().zscore(`${PREFIX}:${MIGRATIONS_QUEUE}:failed`, 'migration_m1'),
    ).toBeNull();
  });

  it('that is stopped and woken does and writes nothing more', async (context) => {
    const world = await aWorld(context);
    const first = aProcess(context, { role: 'coordinator', url: world.redis.url, dir: world.redis.dir });
    await submit(world, 'm1');
    await first.hears('began');
    first.signal('SIGSTOP');
    const took = promised();
    const go = promised();
    world.coordinator(async (request, lease) => {
      await lease.save({ by: 'second' }, reportOf(request, 'running'));
      took.keep();
      await go.promise;
      await lease.dispatch(draftOf('alpha'), LIMITS, NEVER);
      await lease.save({ by: 'second' }, reportOf(request, 'done'));
    });
    await took.promise;
    first.signal('SIGCONT');
    expect((await first.hears('aborted')).why).toContain('Fenced');
    world.worker('alpha', (leg) => Promise.resolve(resultOf(leg)));
    go.keep();
    await isDone(world, 'm1');
    expect(await readSaga(world.connection(), 'm1')).toMatchObject({ state: { by: 'second' } });
    expect(first.said.map(({ what }) => what)).not.toContain('ended');
  });

  it('cut off from Redis stops at least half a second before another begins', async (context) => {
    const world = await aWorld(context);
    const proxy = await startTcpProxy(world.redis.port);
    context.onTestFinished(() => proxy.close());
    const throughProxy = parseRedisUrl(`redis://127.0.0.1:${proxy.port}`);
    const handled: { by: string; began: number; aborted?: number }[] = [];
    const both = promised();
    const coordinator = (by: string, address = world.address) =>
      world.coordinator(
        async (request, lease) => {
          const mine: (typeof handled)[number] = { by, began: Date.now() };
          handled.push(mine);
          if (by === 'second') both.keep();
          await aborted(lease.signal);
          mine.aborted = Date.now();
          lease.assertOwned();
          await lease.save({}, reportOf(request, 'done'));
        },
        { name: by, address, timing: LOCK_TIMING },
      );
    coordinator('first', throughProxy);
    await submit(world, 'm1');
    await until(() => handled.length === 1);
    // Frozen in the middle between two renewals, as the network would.
    await delay(LOCK_TIMING.renewMs * 1.5);
    proxy.freeze();
    coordinator('second');
    await both.promise;
    const [first, second] = handled;
    expect(second!.began - (first!.aborted ?? Infinity)).toBeGreaterThanOrEqual(500);
    proxy.thaw();
  });

  it('with an old token writes nothing, however often it tries', async (context) => {
    const world = await aWorld(context);
    const redis = world.connection();
    const request = requestOf('m1');
    const report = reportOf(request, 'running');
    await registerSaga(redis, report, seal(MIGRATIONS_QUEUE, request, world.keys));
    await redis.set(`${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1:lock`, 'new');
    const writes = Array.from({ length: 400 }, (_, n) => {
      const token = n % 2 === 0 ? 'old' : 'new';
      return saveSaga(redis, token, { by: token }, report, 'test').then(
        () => token,
        (error: unknown) => (error instanceof Fenced ? 'refused' : String(error)),
      );
    });
    const outcomes = await Promise.all(writes);
    expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(200);
    expect(outcomes.filter((outcome) => outcome === 'new')).toHaveLength(200);
    expect(await readSaga(redis, 'm1')).toMatchObject({ state: { by: 'new' }, version: 200 });
    await redis.del(`${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1:lock`);
    await expect(saveSaga(redis, 'new', {}, report, 'test')).rejects.toThrow(Fenced);
  });

  it('takes up what BullMQ has marked failed, and what has lost its job', async (context) => {
    const world = await aWorld(context);
    const redis = world.connection();
    await submit(world, 'failed');
    await redis.hset(
      `${PREFIX}:${MIGRATIONS_QUEUE}:migration_failed`,
      'defa',
      'job stalled more than allowable limit',
    );
    const lost = { ...requestOf('lost'), requestedAt: Date.now() - 60_000 };
    await registerSaga(redis, reportOf(lost, 'queued'), seal(MIGRATIONS_QUEUE, lost, world.keys));
    world.worker('alpha', (leg) => Promise.resolve(resultOf(leg)));
    oneLeg(world);
    await Promise.all([isDone(world, 'failed'), isDone(world, 'lost')]);
  });

  it('may end a migration although legs of it wait or run', async (context) => {
    const world = await aWorld(context);
    const redis = world.connection();
    const waiting = `${PREFIX}:${hostQueue('alpha')}:m1_inspect.1.1`;
    const running = recorder((_, signal) => aborted(signal));
    world.worker('beta', running.run);
    world.coordinator(async (request, lease) => {
      const letGo = new AbortController();
      const dispatched = ['alpha', 'beta'].map((host) =>
        lease.dispatch(draftOf(host), LIMITS, letGo.signal).catch((error: unknown) => error),
      );
      await running.began;
      await until(async () => (await redis.exists(waiting)) === 1);
      letGo.abort(new Error('enough'));
      expect(await Promise.all(dispatched)).toEqual([new Error('enough'), new Error('enough')]);
      await lease.save({}, reportOf(request, 'done'));
    });
    await submit(world, 'm1');
    const job = `${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1`;
    await until(async () => (await redis.hget(job, 'finishedOn')) !== null, 10_000);
    expect(await redis.hget(job, 'failedReason')).toBeNull();
    expect(await redis.exists(waiting)).toBe(0);
    expect(running.runs[0]?.ended).toBeNull();
  });

  it('finds another try where the job of a leg has failed', async (context) => {
    const world = await aWorld(context);
    const redis = world.connection();
    const outcomes: unknown[] = [];
    world.coordinator(async (request, lease) => {
      const first = lease.dispatch(draftOf('alpha'), LIMITS, NEVER);
      const job = `${PREFIX}:${hostQueue('alpha')}:m1_inspect.1.1`;
      await until(async () => (await redis.exists(job)) === 1);
      await redis.hset(job, 'defa', 'job stalled more than allowable limit');
      world.worker('alpha', (leg) => Promise.resolve(resultOf(leg)));
      outcomes.push(await first.catch((error: unknown) => error));
      // The same id again: found failed, not added.
      outcomes.push(await lease.dispatch(draftOf('alpha'), LIMITS, NEVER).catch((error: unknown) => error));
      outcomes.push(await lease.dispatch(draftOf('alpha', 'inspect.1.2'), LIMITS, NEVER));
      await lease.save({}, reportOf(request, 'done'));
    });
    await submit(world, 'm1');
    await isDone(world, 'm1');
    expect(outcomes).toMatchObject([
      { failure: { code: 'INTERNAL' } },
      { failure: { code: 'INTERNAL' } },
      { results: [{ ok: true }] },
    ]);
    await until(
      async () => (await redis.hget(`${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1`, 'finishedOn')) !== null,
    );
  });
});

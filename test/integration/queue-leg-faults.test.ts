/** Legs that are stopped, given up, orphaned and forged by time. */
import { CmtError, hostQueue, PREFIX } from '@cmt/contracts';
import { Fenced, legId, LOCK_TIMING, parseRedisUrl, seal } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import {
  aProcess,
  aWorld,
  isDone,
  it,
  NEVER,
  oneLeg,
  recorder,
  submit,
  until,
} from '../support/queue-faults.ts';
import { aborted, draftOf, LIMITS, reportOf, resultOf } from '../support/queue-world.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

describe.concurrent('a leg', () => {
  it('is stopped in another process when nobody wants it any more', async (context) => {
    const world = await aWorld(context);
    const worker = aProcess(context, {
      role: 'worker',
      url: world.redis.url,
      dir: world.redis.dir,
      legMs: 60_000,
    });
    const results: unknown[] = [];
    let stoppedAt = 0;
    world.coordinator(async (request, lease) => {
      const stop = new AbortController();
      const dispatched = lease.dispatch(draftOf('alpha'), LIMITS, stop.signal);
      await worker.hears('leg-began');
      stoppedAt = Date.now();
      stop.abort(new CmtError('CANCELLED', { reason: 'lunch' }));
      results.push(await dispatched);
      await lease.save({}, reportOf(request, 'done'));
    });
    await submit(world, 'm1');
    await isDone(world, 'm1');
    expect((await worker.hears('leg-aborted')).at - stoppedAt).toBeLessThan(1000);
    expect(results).toMatchObject([
      { results: [{ ok: false, failure: { code: 'CANCELLED', details: { reason: 'lunch' } } }] },
    ]);
  });

  it('is stopped even when the message was lost', async (context) => {
    const world = await aWorld(context);
    const legs = recorder((_, signal) => aborted(signal));
    world.worker('alpha', legs.run);
    oneLeg(world);
    await submit(world, 'm1');
    await legs.began;
    await world.connection().set(`${PREFIX}:stop:alpha:m1_inspect.1.1`, 'lunch');
    await isDone(world, 'm1');
    expect(legs.runs[0]?.reason).toMatchObject({
      failure: { code: 'CANCELLED', details: { reason: 'lunch' } },
    });
  });

  it('that no worker has begun is withdrawn, or given up in time', async (context) => {
    const world = await aWorld(context);
    const outcomes: unknown[] = [];
    world.coordinator(async (request, lease) => {
      const stop = new AbortController();
      const unwanted = lease.dispatch(draftOf('alpha', 'inspect.1.1'), LIMITS, stop.signal);
      const hopeless = lease.dispatch(draftOf('alpha', 'inspect.1.2'), { ...LIMITS, pickUpMs: 1000 }, NEVER);
      stop.abort(new CmtError('CANCELLED', { reason: 'lunch' }));
      outcomes.push(await unwanted, await hopeless.catch((error: unknown) => error));
      await lease.save({}, reportOf(request, 'done'));
    });
    await submit(world, 'm1');
    await isDone(world, 'm1');
    expect(outcomes).toMatchObject([
      { results: [{ failure: { code: 'CANCELLED' } }] },
      { failure: { code: 'HOST_UNREACHABLE', details: { host: 'alpha' } } },
    ]);
    expect(await world.connection().lrange(`${PREFIX}:${hostQueue('alpha')}:wait`, 0, -1)).toEqual([]);
  });

  it('of a worker that is killed is begun again by the next', async (context) => {
    const world = await aWorld(context);
    const orders = { role: 'worker', url: world.redis.url, dir: world.redis.dir } as const;
    oneLeg(world);
    await submit(world, 'm1');
    const first = aProcess(context, { ...orders, legMs: 60_000 });
    await first.hears('leg-began');
    first.signal('SIGKILL');
    aProcess(context, { ...orders, legMs: 10 });
    await isDone(world, 'm1');
  });

  it('cut off from Redis is aborted at least half a second before another worker begins it', async (context) => {
    const world = await aWorld(context);
    const proxy = await startTcpProxy(world.redis.port);
    context.onTestFinished(() => proxy.close());
    const address = parseRedisUrl(`redis://127.0.0.1:${proxy.port}`);
    const first = recorder((_, signal) => aborted(signal));
    const second = recorder(() => Promise.resolve());
    oneLeg(world);
    world.worker('alpha', first.run, { address, timing: LOCK_TIMING, name: 'first' });
    await submit(world, 'm1');
    await first.began;
    proxy.freeze();
    world.worker('alpha', second.run, { timing: LOCK_TIMING, name: 'second' });
    await second.began;
    expect(second.runs[0]!.began - (first.runs[0]!.ended ?? Infinity)).toBeGreaterThanOrEqual(500);
    expect(first.runs[0]!.reason).toBeInstanceOf(Fenced);
    await isDone(world, 'm1');
    proxy.thaw();
    await delay(1000);
    expect(first.runs).toHaveLength(1);
  });

  it('asked for by a coordinator that has lost the migration is refused', async (context) => {
    const world = await aWorld(context);
    const redis = world.connection();
    const runs: string[] = [];
    world.worker('alpha', (leg) => {
      runs.push(legId(leg));
      return Promise.resolve(resultOf(leg));
    });
    await redis.hset(`${PREFIX}:saga:m1`, 'lease', 2);
    const leg = { ...draftOf('alpha'), v: 1, migration: 'm1', issuedAt: Date.now() };
    const base = `${PREFIX}:${hostQueue('alpha')}:`;
    const data = JSON.stringify({ sealed: seal(hostQueue('alpha'), leg, world.keys), lease: 1 });
    await redis.hset(`${base}m1_inspect.1.1`, { name: 'inspect', data, opts: '{}', timestamp: 1, delay: 0 });
    await redis.lpush(`${base}wait`, 'm1_inspect.1.1');
    await redis.zadd(`${base}marker`, 0, '0');
    await until(async () => (await redis.hget(`${base}m1_inspect.1.1`, 'returnvalue')) !== null, 15_000);
    expect(await redis.hget(`${base}m1_inspect.1.1`, 'returnvalue')).toContain('has lost the migration');
    expect(runs).toEqual([]);
  });
});

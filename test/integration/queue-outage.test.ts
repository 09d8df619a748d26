/** Redis away, and processes that end while it is. */
import { DecisionRecord, Fenced, follow, LOCK_TIMING, ShuttingDown } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { aWorld, isDone, it, NEVER, oneLeg, recorder, submit, until } from '../support/queue-faults.ts';
import { aborted, promised, QUICK } from '../support/queue-world.ts';

/** A migration with one leg that has begun, and does that. */
async function underWay(context: Parameters<typeof aWorld>[0], work: Parameters<typeof recorder>[0]) {
  const world = await aWorld(context);
  const legs = recorder(work);
  const coordinator = oneLeg(world);
  const worker = world.worker('alpha', legs.run);
  await submit(world, 'm1');
  await legs.began;
  return { world, legs, coordinator, worker };
}

describe.concurrent('Redis', () => {
  it('away for longer than a lock: work goes on within 10 s of its return, never twice at once', async (context) => {
    const world = await aWorld(context);
    const enough = promised();
    const legs = recorder((_, signal) => Promise.race([enough.promise, aborted(signal)]));
    const timing = LOCK_TIMING;
    world.worker('alpha', legs.run, { timing });
    oneLeg(world, { timing });
    await submit(world, 'm1');
    await legs.began;
    await world.redis.kill();
    await delay(LOCK_TIMING.lockMs + 1500);
    expect(legs.runs[0]!.reason).toBeInstanceOf(Fenced);
    await world.redis.restart();
    const backAt = Date.now();
    enough.keep();
    await until(() => legs.runs.length === 2, 15_000);
    expect(legs.runs[1]!.began - backAt).toBeLessThan(10_000);
    expect(legs.runs[1]!.began).toBeGreaterThan(legs.runs[0]!.ended ?? Infinity);
    await isDone(world, 'm1', 15_000);
    expect(Date.now() - backAt).toBeLessThan(15_000);
  });

  it('away while somebody watches: who gives up is let go at once', async (context) => {
    const world = await aWorld(context);
    const enough = new AbortController();
    await submit(world, 'm1');
    const seen: string[] = [];
    const reader = world.connection('producer');
    const watching = (async () => {
      for await (const { text } of follow(reader, 'm1', true, enough.signal)) seen.push(text);
    })();
    await until(() => seen.includes('queued'));
    await world.redis.kill();
    await until(() => reader.status === 'reconnecting');
    enough.abort();
    await watching;
  });

  it('away for a moment: nobody notices', async (context) => {
    const world = await aWorld(context);
    const enough = promised();
    const legs = recorder((_, signal) => Promise.race([enough.promise, aborted(signal)]));
    world.worker('alpha', legs.run);
    oneLeg(world);
    await submit(world, 'm1');
    await legs.began;
    const seen: string[] = [];
    const watching = (async () => {
      const events = follow(world.connection('producer'), 'm1', true, AbortSignal.timeout(30_000));
      for await (const { text } of events) seen.push(text);
    })();
    await until(() => seen.includes('running'));
    await world.redis.kill();
    await world.redis.restart();
    await delay(QUICK.lockMs);
    enough.keep();
    await isDone(world, 'm1');
    await watching;
    expect(seen).toEqual(['queued', 'running', 'done']);
    expect(legs.runs).toHaveLength(1);
    expect(legs.runs[0]!.reason).toBeNull();
  });

  it('proves that it lost nothing, until it was started anew or may lose a second', async (context) => {
    const world = await aWorld(context);
    const record = new DecisionRecord(world.address, world.logger);
    context.onTestFinished(() => record.close());
    const mark = await record.continuityMark(NEVER);
    expect(await record.isContinuous(mark, NEVER)).toBe(true);
    await world.connection().config('SET', 'appendfsync', 'everysec');
    expect(await record.isContinuous(mark, NEVER)).toBe(false);
    await world.connection().config('SET', 'appendfsync', 'always');
    expect(await record.isContinuous(mark, NEVER)).toBe(true);
    await record.settle('m1', 1, 'COMMIT', NEVER);
    await world.redis.kill();
    await world.redis.restart();
    expect(await record.isContinuous(mark, NEVER)).toBe(false);
    expect(await record.read('m1', 1, NEVER)).toBe('COMMIT');
    expect(await record.isContinuous(null, NEVER)).toBe(false);
  });
});

describe.concurrent('a shutdown', () => {
  it('hands a leg to the next worker at once', async (context) => {
    const world = await aWorld(context);
    const first = recorder((_, signal) => aborted(signal));
    const second = recorder(() => Promise.resolve());
    oneLeg(world);
    const worker = world.worker('alpha', first.run, { timing: LOCK_TIMING });
    await submit(world, 'm1');
    await first.began;
    world.worker('alpha', second.run, { timing: LOCK_TIMING, name: 'second' });
    const begun = Date.now();
    await worker.close(100);
    await isDone(world, 'm1', 5000);
    expect(Date.now() - begun).toBeLessThan(5000);
    expect(second.runs).toHaveLength(1);
  });

  it('lets a leg end that needs no longer than its grace', async (context) => {
    const { world, legs, coordinator, worker } = await underWay(context, () => delay(500));
    await worker.close(5000);
    expect(legs.runs).toMatchObject([{ reason: null }]);
    await isDone(world, 'm1');
    await coordinator.close(1000);
  });

  it('ends although a leg ignores its signal', async (context) => {
    const { worker } = await underWay(context, () => new Promise(() => undefined));
    const begun = Date.now();
    await worker.close(100);
    expect(Date.now() - begun).toBeLessThan(8000);
  });

  it('waits for no answer of a Redis that is gone', async (context) => {
    const { world, legs, coordinator, worker } = await underWay(context, (_, signal) => aborted(signal));
    await world.redis.kill();
    await delay(500);
    const begun = Date.now();
    await Promise.all([coordinator.close(100), worker.close(100)]);
    expect(Date.now() - begun).toBeLessThan(1800);
    expect(legs.runs[0]?.reason).toBeInstanceOf(ShuttingDown);
  });

  it('ends although Redis is silent, and although it is gone', async (context) => {
    const { world, coordinator, worker } = await underWay(context, (_, signal) => aborted(signal));
    world.redis.freeze();
    const begun = Date.now();
    await worker.close(100);
    expect(Date.now() - begun).toBeLessThan(8000);
    world.redis.thaw();
    await world.redis.kill();
    await coordinator.close(100);
    expect(Date.now() - begun).toBeLessThan(16_000);
  });
});

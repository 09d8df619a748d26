/**
 * How soon work goes on, measured with the product's own locks; the figures are printed. The tests run at the same time, each with a
 * Redis of its own, because most of their time is waiting.
 */
import { LOCK_TIMING, parseRedisUrl } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, type TestContext } from 'vitest';
import { aProcess, aWorld, isDone, oneLeg, recorder, submit, until } from '../support/queue-faults.ts';
import { aborted, promised, type QueueWorld } from '../support/queue-world.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const timing = LOCK_TIMING;
/** Milliseconds, as promised. */
const CRASH_MS = 15_000;
const OUTAGE_MS = 60_000;
const RETURN_MS = 10_000;
const MARGIN_MS = 500;

const it = (name: string, body: (context: TestContext) => Promise<void>) =>
  test(name, { timeout: 120_000 }, body);

/** One line for the log of the tests: what was promised, and what was seen. */
const print = (what: string, seenMs: number, promisedMs: number): void =>
  void process.stdout.write(
    `recovery: ${what}: ${(seenMs / 1000).toFixed(1)} s (target ${promisedMs / 1000} s)\n`,
  );

/** A process of the product's timing. */
const aPart = (context: TestContext, world: QueueWorld, role: 'coordinator' | 'worker', legMs = 0) =>
  aProcess(context, { role, url: world.redis.url, dir: world.redis.dir, timing: 'product', legMs });

describe.concurrent('after SIGKILL', () => {
  it('the next worker begins the leg again in time', async (context) => {
    const world = await aWorld(context);
    oneLeg(world, { timing });
    const first = aPart(context, world, 'worker', 60_000);
    await submit(world, 'm1');
    await first.hears('leg-began');
    const second = aPart(context, world, 'worker', 10);
    await second.hears('ready');
    const killedAt = Date.now();
    first.signal('SIGKILL');
    const tookMs = (await second.hears('leg-began')).at - killedAt;
    print('a crashed worker’s leg', tookMs, CRASH_MS);
    expect(tookMs).toBeLessThan(CRASH_MS);
    await isDone(world, 'm1');
  });

  it('the next coordinator has the migration in time', async (context) => {
    const world = await aWorld(context);
    const first = aPart(context, world, 'coordinator');
    await submit(world, 'm1');
    await first.hears('began');
    const second = aPart(context, world, 'coordinator');
    await second.hears('ready');
    const killedAt = Date.now();
    first.signal('SIGKILL');
    const tookMs = (await second.hears('began')).at - killedAt;
    print('a crashed coordinator’s migration', tookMs, CRASH_MS);
    expect(tookMs).toBeLessThan(CRASH_MS);
  });
});

/** Away and back: the leg that was under way ends first, then goes on somewhere, and so does the coordinator. */
async function outage(context: TestContext, name: string, cut: Cut): Promise<void> {
  const world = await aWorld(context);
  const enough = promised();
  const legs = recorder((_, signal) => Promise.race([enough.promise, aborted(signal)]));
  for (const worker of ['first', 'second']) world.worker('alpha', legs.run, { timing, name: worker });
  for (const coordinator of ['one', 'two']) oneLeg(world, { timing, name: coordinator });
  await submit(world, 'm1');
  await legs.began;
  await cut.away(world);
  await delay(OUTAGE_MS);
  expect(legs.runs).toHaveLength(1);
  const { ended } = legs.runs[0] ?? { ended: null };
  await cut.back(world);
  const backAt = Date.now();
  await until(() => legs.runs.length === 2, 20_000);
  const again = legs.runs[1]?.began ?? Infinity;
  print(`work after ${name}`, again - backAt, RETURN_MS);
  expect(again - backAt).toBeLessThan(RETURN_MS);
  expect(ended).not.toBeNull();
  expect(again).toBeGreaterThan(ended ?? Infinity);
  enough.keep();
  await isDone(world, 'm1', 20_000);
  expect(legs.runs).toHaveLength(2);
}

interface Cut {
  readonly away: (world: QueueWorld) => Promise<void>;
  readonly back: (world: QueueWorld) => Promise<void>;
}

describe.concurrent(`Redis away for ${OUTAGE_MS / 1000} s`, () => {
  it('killed, and started again: work goes on in time, and never twice at once', (context) =>
    outage(context, 'Redis was killed', {
      away: ({ redis }) => redis.kill(),
      back: ({ redis }) => redis.restart(),
    }));

  it('stopped, and woken: work goes on in time, and never twice at once', (context) =>
    outage(context, 'Redis stood still', {
      away: ({ redis }) => Promise.resolve(redis.freeze()),
      back: ({ redis }) => Promise.resolve(redis.thaw()),
    }));
});

describe.concurrent('a worker that cannot renew its lock', () => {
  it('has stopped its step half a second before another begins it', async (context) => {
    const margins = await Promise.all([1, 2, 3, 4].map(() => marginOfOne(context)));
    const smallest = Math.min(...margins);
    print('smallest margin between the end of a step and its next beginning', smallest, MARGIN_MS);
    expect(smallest).toBeGreaterThanOrEqual(MARGIN_MS);
  });
});

/** Milliseconds from the end of a step whose worker was cut off from Redis to its beginning elsewhere. */
async function marginOfOne(context: TestContext): Promise<number> {
  const world = await aWorld(context);
  const proxy = await startTcpProxy(world.redis.port);
  context.onTestFinished(() => proxy.close());
  const address = parseRedisUrl(`redis://127.0.0.1:${proxy.port}`);
  const first = recorder((_, signal) => aborted(signal));
  const second = recorder(() => Promise.resolve());
  oneLeg(world, { timing });
  world.worker('alpha', first.run, { address, timing, name: 'first' });
  await submit(world, 'm1');
  await first.began;
  // Anywhere between two renewals.
  await delay(Math.random() * timing.renewMs);
  proxy.freeze();
  world.worker('alpha', second.run, { timing, name: 'second' });
  await second.began;
  const margin = (second.runs[0]?.began ?? 0) - (first.runs[0]?.ended ?? Infinity);
  await isDone(world, 'm1');
  proxy.thaw();
  return margin;
}

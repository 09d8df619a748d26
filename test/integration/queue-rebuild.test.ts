/** Migrations that Redis has forgotten and hosts announce: handed out again, once, to turn back. */
import { keys, MIGRATIONS_QUEUE, PREFIX, type HostRecord, type JournalNote } from '@cmt/contracts';
import { announceOnce, readSaga, type MigrationHandler, type Origin } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { aWorld, isDone, it, stateOf, submit, until } from '../support/queue-faults.ts';
import { hostRecordOf, reportOf, type QueueWorld } from '../support/queue-world.ts';

const note = (phase: 'FROZEN' | 'HELD', more: Partial<JournalNote> = {}): JournalNote => ({
  ...{ migration: 'm1', epoch: 1, side: phase === 'FROZEN' ? 'source' : 'target', phase, runtime: 'runc' },
  ...{ container: 'web', bundle: '/srv/web', peer: phase === 'FROZEN' ? 'beta' : 'alpha' },
  ...{ network: { kind: 'none' }, frozenAt: null, closed: false, updatedAt: 1, ...more },
});

const announced = (name: string, ...journal: JournalNote[]): HostRecord => ({
  ...hostRecordOf(name),
  journal,
});

/** Both hosts announce themselves until the test ends. */
async function announcing(world: QueueWorld, records: () => readonly HostRecord[]): Promise<() => void> {
  const redis = world.connection();
  const all = () => Promise.all(records().map((record) => announceOnce(redis, record)));
  await all();
  const timer = setInterval(() => void all().catch(() => undefined), 500);
  return () => clearInterval(timer);
}

interface HandedOut {
  readonly id: string;
  readonly origin: Origin;
  readonly hooks: number;
}

const ending =
  (handed: HandedOut[]): MigrationHandler =>
  async (request, lease, origin) => {
    handed.push({ id: request.id, origin, hooks: request.options.hooks.length });
    await lease.save({}, reportOf(request, 'done'));
  };

/** Longer than it takes for a forgotten migration to be taken up: two looks and a grace. */
const LONG_ENOUGH_MS = 9_000;

describe.concurrent('a migration that Redis has forgotten', () => {
  it('is handed out again once, whoever looks for it, and forgotten as often as Redis is emptied', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    for (const name of ['one', 'two', 'three']) world.coordinator(ending(handed), { name });
    const records = [announced('alpha', note('FROZEN')), announced('beta', note('HELD'))];
    context.onTestFinished(await announcing(world, () => records));
    for (const times of [1, 2]) {
      await isDone(world, 'm1', 20_000);
      expect(handed).toHaveLength(times);
      await world.connection().flushall();
    }
    expect(handed[0]).toEqual({ id: 'm1', origin: 'journals', hooks: 0 });
  });

  it('is known to all at once, with both hosts named', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    context.onTestFinished(
      await announcing(world, () => [announced('alpha'), announced('beta', note('HELD'))]),
    );
    world.coordinator(ending(handed));
    await isDone(world, 'm1', 20_000);
    const saga = await readSaga(world.connection(), 'm1');
    expect(saga?.report).toMatchObject({ from: 'alpha', to: 'beta', container: 'web' });
  });

  it('is left alone where Redis knows it, running or ended', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    world.coordinator(ending(handed));
    await submit(world, 'm1');
    await isDone(world, 'm1');
    context.onTestFinished(
      await announcing(world, () => [announced('alpha', note('FROZEN')), announced('beta')]),
    );
    await delay(LONG_ENOUGH_MS);
    expect(handed).toEqual([{ id: 'm1', origin: 'asked', hooks: 0 }]);
  });

  for (const state of ['refused', 'cancelled'] as const)
    it(`is taken up although it was asked for anew and ${state}, against its journal`, async (context) => {
      const world = await aWorld(context);
      const handed: HandedOut[] = [];
      const found: unknown[] = [];
      world.coordinator(async (request, lease, origin) => {
        found.push(lease.stored?.state);
        if (found.length > 1) return await ending(handed)(request, lease, origin);
        await lease.save({ stage: 'end' }, { ...reportOf(request, state), untouched: true });
      });
      await submit(world, 'm1');
      await until(async () => (await stateOf(world, 'm1')) === state);
      context.onTestFinished(
        await announcing(world, () => [announced('alpha', note('FROZEN')), announced('beta')]),
      );
      await isDone(world, 'm1', 20_000);
      expect(handed).toMatchObject([{ origin: 'journals' }]);
      // Not gone on with as one that is only tidied up.
      expect(found).toEqual([null, null]);
    });

  it('waits for the other host, which may still be starting', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    world.coordinator(ending(handed));
    const records = [announced('alpha', note('FROZEN'))];
    context.onTestFinished(await announcing(world, () => records));
    await delay(LONG_ENOUGH_MS);
    expect(handed).toEqual([]);
    records.push(announced('beta'));
    await isDone(world, 'm1', 10_000);
  });

  it('names no host twice: a mark of something that never began asks for nothing', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    world.coordinator(ending(handed));
    const mark = note('HELD', { phase: 'DISCARDED', peer: 'beta' });
    context.onTestFinished(await announcing(world, () => [announced('alpha'), announced('beta', mark)]));
    await delay(LONG_ENOUGH_MS);
    expect(handed).toEqual([]);
    expect(await world.connection().exists(keys.saga('m1'))).toBe(0);
  });

  it('gets its job again where only that has vanished', async (context) => {
    const world = await aWorld(context);
    const handed: HandedOut[] = [];
    let losing = true;
    world.coordinator(async (request, lease, origin) => {
      if (!losing) return await ending(handed)(request, lease, origin);
      losing = false;
      const job = `${PREFIX}:${MIGRATIONS_QUEUE}:migration_m1`;
      await world.connection().del(job, `${job}:lock`);
      throw new Error('its job is gone');
    });
    context.onTestFinished(
      await announcing(world, () => [announced('alpha', note('FROZEN')), announced('beta')]),
    );
    await isDone(world, 'm1', 40_000);
    expect(handed).toMatchObject([{ origin: 'journals' }]);
  });
});

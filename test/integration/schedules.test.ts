/** Schedules from the command line to the migrations they begin: the bundled `cmt`, a real Redis, a coordinator that plays a part. */
import { keys, ORDERS_QUEUE, PREFIX, Schedule, type ScheduleRun } from '@cmt/contracts';
import {
  addSchedule,
  announceOnce,
  consumeOrders,
  loadKeyPair,
  removeSchedule,
  schedules,
  type KnownSchedule,
} from '@cmt/queue';
import { Queue } from 'bullmq';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { workStarter } from '../../apps/coordinator/src/scheduled-work.ts';
import { Ledger } from '../../libs/queue/src/ledger.ts';
import { buildCmt, cmt, jsonLines } from '../support/cmt.ts';
import { hostRecord } from '../support/host-record.ts';
import { QUICK, requestOf, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';
import { scripted } from '../support/scripted-coordinator.ts';

// Each test starts the whole program several times.
vi.setConfig({ testTimeout: 90_000 });

let world: QueueWorld;
let home: string;

beforeAll(async () => {
  await buildCmt();
  home = await mkdtemp(join(tmpdir(), 'cmt-schedules-'));
  world = await startQueueWorld();
  world.coordinator(scripted);
  await announceOnce(world.connection(), hostRecord('host1', '10.0.0.1', ['redis']));
  await announceOnce(world.connection(), hostRecord('host2', '10.0.0.2'));
});

afterAll(async () => {
  await world.close();
  await rm(home, { recursive: true, force: true });
});

const run = (...args: string[]) =>
  cmt(args, { home, env: { CMT_REDIS: world.redis.url, CMT_STATE_DIR: world.redis.dir } });
const move = (container: string): string[] => [
  '--',
  'migrate',
  container,
  '--src',
  'host1',
  '--dst',
  'host2',
];

const removalsDir = (): string => join(world.redis.dir, 'removed');

/** The orders' side of a coordinator, until the test has ended. */
function takingOrders(): { close(graceMs: number): Promise<void> } {
  const { keys: own, trust, logger } = world;
  const [ledgerDir, removedDir] = [join(world.redis.dir, 'orders'), removalsDir()];
  const redis = world.connection();
  return consumeOrders(
    { redis, trust, logger, keys: own, name: 'test', ledgerDir, removedDir, timing: QUICK },
    workStarter(redis, own),
  );
}

const known = async (name: string): Promise<KnownSchedule | undefined> =>
  (await schedules(world.connection())).find(({ schedule }) => schedule.name === name);

const runsUntil = (name: string, isEnough: (runs: readonly ScheduleRun[]) => boolean) =>
  vi.waitFor(
    async () => {
      const runs = (await known(name))?.runs ?? [];
      if (!isEnough(runs)) throw new Error(`${name}: ${JSON.stringify(runs)}`);
      return runs;
    },
    { timeout: 15_000, interval: 200 },
  );

const everySecond = (name: string): Schedule =>
  Schedule.parse({
    ...{ v: 1, kind: 'schedule', name, pattern: '* * * * * *', timeZone: 'UTC', words: ['migrate', 'redis'] },
    work: {
      kind: 'migrate',
      request: requestOf(name, { container: 'redis', source: 'host1', target: 'host2' }),
    },
    ...{ graceMs: 1000, issuedAt: Date.now() },
  });

describe('cmt schedule', () => {
  it('is carried out at its times, each a migration of its own', async () => {
    const orders = takingOrders();
    const added = await run('schedule', 'add', '*/2 * * * * *', '--name', 'tick', ...move('redis'));
    expect([added.code, added.stdout]).toEqual([0, expect.stringMatching(/^schedule tick is due at 2/)]);
    const runs = await runsUntil(
      'tick',
      (all) => all.filter(({ outcome }) => outcome === 'started').length > 1,
    );
    await run('schedule', 'rm', 'tick');
    await orders.close(1000);
    for (const { id, dueAt } of runs) {
      expect(dueAt % 2000).toBe(0);
      expect(id).toMatch(/^tick-\d{8}t\d{6}z$/);
      expect((await run('watch', id ?? '')).stdout).toContain('done: redis runs on host2');
    }
    expect(await known('tick')).toBeUndefined();
  });

  it('is listed beside one that is damaged, which is named; hosts and migrations are as well', async () => {
    const redis = world.connection();
    const add = (name: string) => run('schedule', 'add', '0 3 * * 0', '--name', name, ...move('redis'));
    for (const name of ['whole', 'torn']) expect((await add(name)).code).toBe(0);
    await redis.hset(`${PREFIX}:${ORDERS_QUEUE}:repeat:torn`, 'data', '{torn');
    await announceOnce(redis, hostRecord('host3', '10.0.0.3'));
    await redis.set(keys.host('host3'), '{torn');
    await redis.hset(keys.saga('torn'), { report: '{torn', status: 'done' });
    await redis.zadd(keys.sagas, Date.now(), 'torn');
    const listed = await run('schedule', 'ls', '--json');
    expect(jsonLines(listed.stdout)).toMatchObject([{ schedules: [{ schedule: { name: 'whole' } }] }]);
    expect(listed.stderr).toMatch(/^warning: .* schedule torn cannot be read here: it is not JSON/);
    const seen = await run('hosts');
    expect([seen.code, seen.stdout]).toEqual([0, expect.stringMatching(/^host1 .*\nhost2 /ms)]);
    expect(seen.stderr).toMatch(/^warning: What host3 announces cannot be read here/);
    expect((await run('ps')).stderr).toMatch(/^warning: What host3 announces/);
    expect((await run('status')).stderr).toMatch(/^warning: What Redis holds of migration torn/);
    expect((await run('status', 'torn')).stderr).toContain('error MIGRATION_UNREADABLE: ');
    for (const name of ['whole', 'torn']) expect((await run('schedule', 'rm', name)).code).toBe(0);
    await redis.del(keys.host('host3'), keys.saga('torn'));
    await redis.zrem(keys.hosts, 'host3');
  });

  it('is one schedule however often it is asked for, and another one only with --replace', async () => {
    const add = (...more: string[]) => run('schedule', 'add', '0 3 * * 0', '--name', 'once', ...more);
    expect((await add(...move('redis'))).code).toBe(0);
    expect(jsonLines((await add('--json', ...move('redis'))).stdout)).toMatchObject([
      { ok: true, isNew: false },
    ]);
    const other = await add(...move('ghost'));
    expect([other.code, other.stderr]).toEqual([3, expect.stringContaining('error SCHEDULE_EXISTS: ')]);
    expect((await add('--replace', '--tz', 'Europe/Berlin', ...move('ghost'))).code).toBe(0);
    const listed = jsonLines((await run('schedule', 'ls', '--json')).stdout);
    expect(listed).toMatchObject([
      { schedules: [{ overdue: 0, schedule: { name: 'once', timeZone: 'Europe/Berlin' }, runs: [] }] },
    ]);
    expect((await run('schedule', 'ls')).stdout).toMatch(
      /once +0 3 \* \* 0 .*Europe\/Berlin .*migrate ghost/,
    );
  });

  it.each([
    ['the pattern', ['0 3 * *'], move('redis'), 2, 'SCHEDULE_INVALID'],
    ['the zone', ['0 3 * * *', '--tz', 'Mars'], move('redis'), 2, 'SCHEDULE_INVALID'],
    ['the verb', ['0 3 * * *'], ['--', 'migarte', 'redis'], 2, 'did you mean migrate?'],
    ['a flag', ['0 3 * * *'], [...move('redis'), '--nod'], 2, "unknown option '--nod'"],
    [
      'a host',
      ['0 3 * * *'],
      ['--', 'migrate', 'redis', '--src', 'host1', '--dst', 'hots2'],
      3,
      'HOST_UNKNOWN',
    ],
    ['the host of a drain', ['0 3 * * *'], ['--', 'drain'], 2, 'name the one host'],
    ['a drain’s flag', ['0 3 * * *'], ['--', 'drain', 'host1', '--wait'], 2, '--wait: nobody waits'],
    ['a drained host', ['0 3 * * *'], ['--', 'drain', 'hots1'], 3, 'HOST_UNKNOWN'],
    ['an id', ['0 3 * * *'], [...move('redis'), '--id', 'x'], 2, '--id: each run of a schedule'],
  ])('refuses %s that cannot be understood, and stores nothing', async (_, head, words, code, said) => {
    const refused = await run('schedule', 'add', ...head, '--name', 'bad', ...words);
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringContaining(said)]);
    expect(await known('bad')).toBeUndefined();
  });

  it('runs now when it is told to, and says what came of it', async () => {
    const orders = takingOrders();
    await run('schedule', 'add', '@yearly', '--name', 'rare', ...move('fragile'));
    const now = await run('schedule', 'run', 'rare', '--wait');
    expect([now.code, now.stderr]).toEqual([4, expect.stringContaining('error RESTORE_FAILED: ')]);
    expect((await run('schedule', 'run', 'nowhere')).stderr).toContain('error SCHEDULE_UNKNOWN: ');
    await orders.close(1000);
  });

  it('counts times that nobody was there for as missed', async () => {
    await addSchedule(world.connection(), everySecond('late'), world.keys, false);
    await vi.waitFor(async () => expect((await known('late'))?.overdue).toBeGreaterThan(1), {
      timeout: 10_000,
    });
    expect((await run('schedule', 'ls')).stdout).toMatch(/late .*overdue since/);
    const orders = takingOrders();
    const runs = await runsUntil('late', (all) => all.some(({ outcome }) => outcome === 'missed'));
    await run('schedule', 'rm', 'late');
    await orders.close(1000);
    const missed = runs.find(({ outcome }) => outcome === 'missed');
    expect(missed).toMatchObject({ id: null });
    expect(missed?.missed).toBeGreaterThan(1);
  });

  describe('put back by somebody who can write to Redis', () => {
    const queue = () =>
      new Queue(ORDERS_QUEUE, { connection: world.connection(), prefix: PREFIX, skipVersionCheck: true });
    /** As it lies in Redis, and what puts it there again, without a trace of its removal. */
    async function stolen(name: string): Promise<() => Promise<void>> {
      const { template } = (await queue().getJobScheduler(name)) ?? {};
      return async () => {
        await world.connection().del(keys.removedSchedules);
        const job = { name: 'fire', data: template?.data as object, opts: template?.opts ?? {} };
        await queue().upsertJobScheduler(name, { pattern: '* * * * * *', tz: 'UTC' }, job);
      };
    }
    const isNoted = (name: string) =>
      vi.waitFor(
        async () => expect(await new Ledger(removalsDir(), z.unknown(), Infinity).find(name)).not.toBeNull(),
        { timeout: 15_000 },
      );
    const refused = { outcome: 'refused', failure: { code: 'REQUEST_FORGED' } };
    const begun = async (name: string): Promise<number> =>
      (await world.connection().zrange(keys.sagas, 0, -1)).filter((id) => id.startsWith(`${name}-`)).length;

    it('once it was removed, is carried out no more, also by a coordinator that was started again', async () => {
      await addSchedule(world.connection(), everySecond('undead'), world.keys, false);
      let orders = takingOrders();
      await runsUntil('undead', (all) => all.some(({ outcome }) => outcome === 'started'));
      const putBack = await stolen('undead');
      expect((await run('schedule', 'rm', 'undead')).code).toBe(0);
      await isNoted('undead');
      const before = await begun('undead');
      await putBack();
      expect((await runsUntil('undead', (all) => all.length > 1))[0]).toMatchObject(refused);
      await orders.close(1000);
      orders = takingOrders();
      const count = (await known('undead'))?.runs.length ?? 0;
      const runs = await runsUntil('undead', (all) => all.length > count + 1);
      expect(runs.map(({ outcome }) => outcome)).not.toContain('started');
      const now = await run('schedule', 'run', 'undead');
      expect([now.code, now.stderr]).toEqual([3, expect.stringMatching(/REQUEST_FORGED: .* was removed/)]);
      expect(await begun('undead')).toBe(before);
      // Who may make it can make it again.
      await addSchedule(world.connection(), everySecond('undead'), world.keys, true);
      await runsUntil('undead', (all) => all[0]?.outcome === 'started');
      await run('schedule', 'rm', 'undead');
      await orders.close(1000);
    });

    it('once it was replaced, is not what is carried out', async () => {
      await addSchedule(world.connection(), everySecond('changed'), world.keys, false);
      const putBack = await stolen('changed');
      const orders = takingOrders();
      const other = { ...everySecond('changed'), pattern: '@yearly' };
      await addSchedule(world.connection(), other, world.keys, true);
      await isNoted('changed');
      await putBack();
      expect((await runsUntil('changed', (all) => all.length > 1))[0]).toMatchObject(refused);
      await run('schedule', 'rm', 'changed');
      await orders.close(1000);
    });

    it('is removed only by somebody who is trusted', async () => {
      const stranger = await loadKeyPair(join(world.redis.dir, 'stranger'));
      await addSchedule(world.connection(), everySecond('wanted'), world.keys, false);
      const putBack = await stolen('wanted');
      const orders = takingOrders();
      await removeSchedule(world.connection(), 'wanted', stranger);
      await putBack();
      await runsUntil('wanted', (all) => all.some(({ outcome }) => outcome === 'started'));
      await run('schedule', 'rm', 'wanted');
      await orders.close(1000);
    });
  });

  it('of a key that nobody trusts begins nothing', async () => {
    const stranger = await loadKeyPair(join(world.redis.dir, 'stranger'));
    await addSchedule(world.connection(), everySecond('forged'), stranger, false);
    const orders = takingOrders();
    const [first] = await runsUntil('forged', (all) => all.length > 0);
    await run('schedule', 'rm', 'forged');
    await orders.close(1000);
    expect(first).toMatchObject({ outcome: 'refused', failure: { code: 'REQUEST_FORGED' } });
    const ids = await world.connection().zrange(keys.sagas, 0, -1);
    expect(ids.filter((id) => id.startsWith('forged'))).toEqual([]);
    expect(ORDERS_QUEUE).not.toContain(':');
  });
});

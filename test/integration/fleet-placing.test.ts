/** Targets that are found, limits that are held: the real coordinator, queue and CLI; hosts that only say what real ones would. */
import { keys, MigrationRequest, type MigrationReport } from '@cmt/contracts';
import { readSaga, submitMigration } from '@cmt/queue';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCmt } from '../support/cmt.ts';
import { until } from '../support/queue-faults.ts';
import { promised } from '../support/queue-world.ts';
import { startStandInFleet, type StandInFleet } from '../support/stand-in-fleet.ts';

const LIMIT = { timeout: 90_000 };
const GIB = 1024 ** 3;

beforeAll(() => buildCmt(), 150_000);

type Answer = { readonly migration: MigrationReport; readonly code: number | null };
const migrate = async (fleet: StandInFleet, container: string, ...flags: string[]): Promise<Answer> =>
  (await fleet.json('migrate', container, ...flags)) as unknown as Answer;

/** Asks without a process for each. */
const ask = (fleet: StandInFleet, id: string, more: Partial<MigrationRequest>) =>
  submitMigration(
    fleet.redis,
    MigrationRequest.parse({ v: 1, id, options: {}, requestedAt: Date.now(), ...more }),
    fleet.world.keys,
  );

const reportOf = async (fleet: StandInFleet, id: string): Promise<MigrationReport | undefined> =>
  (await readSaga(fleet.redis, id))?.report;

const allDone = (fleet: StandInFleet, ids: readonly string[]): Promise<void> =>
  until(async () => {
    const states = await Promise.all(ids.map((id) => fleet.stateOf(id)));
    return states.every((state) => state === 'done');
  }, 60_000);

describe('a target that is left open', LIMIT, () => {
  it('is the best that fits, told with why; labels narrow the choice; what cannot be is refused with all reasons', async (context) => {
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: GIB, web: GIB } },
      host2: { facts: { memoryAvailable: 3 * GIB }, labels: { zone: 'b' } },
      host3: {},
      host4: { facts: { arch: 'arm64', criu: '4.0' }, labels: { zone: 'c' } },
    });
    const { targets } = (await fleet.json('targets', 'db')) as unknown as {
      targets: { host: string; fits: boolean }[];
    };
    expect(targets.map(({ host, fits }) => [host, fits])).toEqual([
      ['host3', true],
      ['host2', true],
      ['host1', false],
      ['host4', false],
    ]);
    const { migration, code } = await migrate(fleet, 'db', '--src', 'host1', '--dst', 'auto');
    expect([code, migration.state, migration.to]).toEqual([0, 'done', 'host3']);
    expect(migration.placement?.why).toMatch(
      /^host3 is the best of 2 hosts that fit: score \d+, 7\.0 GiB of memory/,
    );
    expect(fleet.hosts.get('host3')?.containers()).toEqual(['db']);
    const labelled = await migrate(fleet, 'web', '--src', 'host1', '--dst', 'zone=b');
    expect(labelled.migration.to).toBe('host2');

    const none = await fleet.json('migrate', 'web', '--src', 'host2', '--dst', 'zone=c');
    expect(none).toMatchObject({ code: 3, error: { code: 'NO_TARGET' } });
    expect((none['error'] as { message: string }).message).toContain(
      'host4: arm64, not x86_64, criu 4.0 < 4.2',
    );
    expect(await fleet.json('migrate', 'web', '--src', 'host2', '--dst', 'zone=d')).toMatchObject({
      ...{ code: 3, error: { code: 'LABEL_UNKNOWN', message: 'No host carries the label zone=d.' } },
    });
    expect(await fleet.json('targets', 'nobody')).toMatchObject({
      ...{ code: 3, error: { code: 'CONTAINER_UNKNOWN' } },
    });
    expect(await fleet.json('targets', 'web', '--src', 'hots2')).toMatchObject({
      ...{ code: 3, error: { code: 'HOST_UNKNOWN' } },
    });
  });

  it('needs no source: that is the host which announces the container', async (context) => {
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: GIB, twin: GIB } },
      host2: { containers: { twin: GIB } },
    });
    const move = ['db', '--dst', 'host2', '--id', 'm'] as const;
    const { migration, code } = await migrate(fleet, ...move);
    expect([code, migration.state, migration.from, migration.to]).toEqual([0, 'done', 'host1', 'host2']);
    // It is at its target by now; the same id is the same migration all the same.
    await until(() => Promise.resolve(fleet.hosts.get('host2')?.containers().includes('db') === true));
    expect(await migrate(fleet, ...move)).toMatchObject({ code: 0, migration: { id: 'm', from: 'host1' } });
    const refused = async (...words: string[]) => (await fleet.json(...words))['error'] as { code: string };
    expect(await refused('migrate', 'twin', '--dst', 'auto')).toMatchObject({ code: 'CONTAINER_AMBIGUOUS' });
    expect(await refused('validate', 'nobody', '--dst', 'auto')).toMatchObject({ code: 'CONTAINER_UNKNOWN' });
    expect(await refused('migrate', '--dst', 'auto')).toMatchObject({ code: 'REQUEST_INVALID' });
    const { code: exit, stderr } = await fleet.cmt(
      ...['schedule', 'add', '0 3 * * *', '--', 'migrate', 'twin', '--dst', 'auto'],
    );
    expect([exit, stderr]).toEqual([2, expect.stringContaining('a schedule has to name it')]);
  });

  it('is the next best when the best turns out not to do, also for who does not wait', async (context) => {
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: GIB } },
      host2: { facts: { memoryAvailable: 15 * GIB }, survey: { rsync: false } },
      host3: { facts: { memoryAvailable: 12 * GIB }, survey: { addressesTaken: ['10.0.0.9'] } },
      host4: {},
    });
    await fleet.cmt('migrate', 'db', '--src', 'host1', '--dst', 'auto', '--id', 'm', '--detach');
    await allDone(fleet, ['m']);
    const { migration } = (await fleet.json('status', 'm')) as unknown as Answer;
    expect(migration).toMatchObject({
      to: 'host4',
      placement: { why: expect.stringContaining('host4 is ') as string },
    });
    expect(
      migration.placement?.passedOver.map(({ host, failure }) => [host, failure.details['codes']]),
    ).toEqual([
      ['host2', 'RSYNC_MISSING'],
      ['host3', 'ADDRESS_TAKEN'],
    ]);
    const { stdout } = await fleet.cmt('status', 'm');
    expect(stdout).toMatch(/not +host2: 1 finding\(s\) speak against moving db to host2: RSYNC_MISSING/);
  });

  it('is nobody when validation refuses everywhere, and nothing was changed', async (context) => {
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: GIB } },
      host2: { survey: { rsync: false } },
    });
    const refused = await fleet.json('migrate', 'db', '--src', 'host1', '--dst', 'auto');
    expect(refused).toMatchObject({ code: 3, error: { code: 'NO_TARGET' }, migration: { state: 'refused' } });
    expect((refused['error'] as { message: string }).message).toContain('host2: 1 finding(s) speak against');
    expect(fleet.begun).toEqual([]);
  });
});

describe('limits', LIMIT, () => {
  const FIFTY = Array.from({ length: 50 }, (_, n) => `c${n}`);

  it('hold under fifty requests at once, whoever goes where; each is done in the end', async (context) => {
    const half = (from: number) => Object.fromEntries(FIFTY.slice(from, from + 25).map((id) => [id, 1000]));
    const fleet = await startStandInFleet(context, {
      host1: { containers: half(0) },
      host2: { containers: half(25) },
      host3: {},
      host4: {},
    });
    await Promise.all(
      FIFTY.map((id, n) =>
        ask(fleet, id, {
          ...{ container: id, source: n < 25 ? 'host1' : 'host2' },
          ...(n % 2 === 0
            ? { target: 'auto', place: { labels: {}, avoid: ['host1', 'host2'] } }
            : { target: 'host3' }),
        }),
      ),
    );
    await allDone(fleet, FIFTY);
    const { out, in: into } = fleet.most;
    expect(Math.max(...out.values(), ...into.values())).toBe(2);
    expect(fleet.begun).toHaveLength(50);
    expect([...(fleet.hosts.get('host1')?.containers() ?? [])]).toEqual([]);
    const { stdout } = await fleet.cmt('logs', fleet.begun.at(-1) ?? '');
    expect(stdout).toMatch(/waits: 2 at a time (leave host[12]|go to host[34]), and as many do/);
  });

  it('are set while it runs, and let the urgent pass', async (context) => {
    const names = FIFTY.slice(0, 8);
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: {
        containers: Object.fromEntries(names.map((id) => [id, 1000])),
        gate: () => gate.promise,
      },
      host2: {},
    });
    expect((await fleet.cmt('limits', 'set', 'out=1', 'in@host2=9')).code).toBe(0);
    const allWait = (ids: readonly string[], priority: 'high' | 'low') =>
      Promise.all(
        ids.map(async (id) => {
          await ask(fleet, id, { container: id, source: 'host1', target: 'host2', priority });
          await until(
            async () => (await reportOf(fleet, id))?.waitsFor === '1 at a time leave host1, and as many do',
          );
        }),
      );
    await ask(fleet, 'c0', { container: 'c0', source: 'host1', target: 'host2' });
    await until(() => fleet.begun.length === 1);
    await allWait(names.slice(1, 4), 'low');
    await allWait(names.slice(4), 'high');
    expect(fleet.begun).toEqual(['c0']);
    await fleet.cmt('limits', 'out=4');
    await until(() => fleet.begun.length === 4);
    expect(fleet.begun.slice(1).sort()).toEqual(['c4', 'c5', 'c6']);
    gate.keep();
    await allDone(fleet, names);
    expect(fleet.most.out.get('host1')).toBe(4);
    expect(await fleet.json('limits')).toMatchObject({ limits: { out: 4, hosts: { host2: { in: 9 } } } });
  });

  it('bound the queue, keep a container to one migration, and let go of who is cancelled', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { one: 1000, two: 1000, three: 1000 }, gate: () => gate.promise },
      host2: {},
    });
    await fleet.cmt('limits', 'set', 'out=1', 'queue=3');
    await ask(fleet, 'first', { container: 'one', source: 'host1', target: 'host2' });
    await until(() => fleet.begun.length === 1);
    await ask(fleet, 'again', { container: 'one', source: 'host1', target: 'host2' });
    await until(async () => (await fleet.stateOf('again')) === 'refused');
    expect(await reportOf(fleet, 'again')).toMatchObject({
      failure: { code: 'CONTAINER_BUSY', details: { other: 'first' } },
    });
    const asked = (container: string, id: string) =>
      fleet.json('migrate', container, '--src', 'host1', '--dst', 'host2', '--id', id, '--detach');
    expect([await asked('two', 'second'), await asked('three', 'third')]).toMatchObject([
      { code: 0 },
      { code: 0 },
    ]);
    expect(await asked('three', 'fourth')).toMatchObject({ code: 3, error: { code: 'QUEUE_FULL' } });
    expect(await fleet.stateOf('fourth')).toBeUndefined();
    await fleet.cmt('cancel', 'third');
    await until(async () => (await fleet.stateOf('third')) === 'cancelled');
    gate.keep();
    await allDone(fleet, ['first', 'second']);
    expect(fleet.begun).toEqual(['first', 'second']);
    expect(fleet.hosts.get('host1')?.containers()).toEqual(['three']);
  });
});

describe('what is under way', LIMIT, () => {
  it('shows in hosts and ps', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: 5000 }, labels: { zone: 'a' }, gate: () => gate.promise },
      host2: {},
    });
    await ask(fleet, 'm', { container: 'db', source: 'host1', target: 'host2' });
    await until(() => fleet.begun.length === 1);
    expect(await fleet.json('hosts')).toMatchObject({
      hosts: [
        { name: 'host1', leaving: 1, arriving: 0, drained: false, record: { labels: { zone: 'a' } } },
        { name: 'host2', leaving: 0, arriving: 1 },
      ],
    });
    expect(await fleet.json('ps')).toMatchObject({
      containers: [{ id: 'db', memory: 5000, migration: { id: 'm', to: 'host2' } }],
    });
    gate.keep();
    await allDone(fleet, ['m']);
  });
});

describe('a host that is offline', LIMIT, () => {
  it('is refused at once, as source and as target, and nothing was changed', async (context) => {
    const fleet = await startStandInFleet(context, {
      host1: { containers: { db: GIB } },
      host2: { containers: { web: GIB } },
    });
    await fleet.hosts.get('host2')?.stop();
    await fleet.redis.zadd(keys.hosts, Date.now() - 180_000, 'host2');
    for (const [container, from, to] of [
      ['db', 'host1', 'host2'],
      ['web', 'host2', 'host1'],
    ] as const)
      expect(await fleet.json('migrate', container, '--src', from, '--dst', to)).toMatchObject({
        ...{ code: 6, error: { code: 'HOST_UNREACHABLE', host: 'host2' } },
      });
    expect([...fleet.hosts.values()].map((host) => host.containers())).toEqual([['db'], ['web']]);
    expect(fleet.begun).toEqual([]);
  });
});

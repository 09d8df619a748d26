/** What Redis holds may be damaged, or a newer cmt's: nobody is kept from reading the rest, and who asks for that very record is told. */
import {
  hostQueue,
  keys,
  MIGRATIONS_QUEUE,
  PREFIX,
  type MigrationRequest,
  type ScheduleRun,
} from '@cmt/contracts';
import {
  alarmsOf,
  announceOnce,
  DecisionRecord,
  eventsOf,
  hosts,
  hostsNamed,
  knownSaga,
  listSagas,
  openSagas,
  raiseAlarm,
  readSaga,
  refusalOf,
  requestCancel,
  requestTuning,
  submitMigration,
  type RedisConnection,
} from '@cmt/queue';
import { hostsWithContainers } from '@cmt/queue/look';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { legStatus } from '../../libs/queue/src/leg-job.ts';
import { migrationJobKey } from '../../libs/queue/src/migration-key.ts';
import { hostsWithNotes } from '../../libs/queue/src/registry.ts';
import { noteRun, runsOf } from '../../libs/queue/src/schedules.ts';
import { failureOf } from '../support/failure-of.ts';
import {
  hostRecordOf,
  reportOf,
  requestOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';

/** Torn, and of another format. */
const DAMAGE = [
  ['not JSON', '{"v":1,"journal":[{"torn'],
  ['of another form', '{"v":7,"journal":[{"colour":"blue"}]}'],
] as const;

let world: QueueWorld;
let redis: RedisConnection;
beforeAll(async () => {
  world = await startQueueWorld();
  redis = world.connection();
});
afterAll(() => world.close());

describe.each(DAMAGE)('a host whose announcement is %s', (_, text) => {
  beforeAll(async () => {
    for (const name of ['alpha', 'beta', 'gamma']) await announceOnce(redis, hostRecordOf(name));
    await redis.set(keys.host('beta'), text);
  });

  it('is named with what is wrong, and hides no other', async () => {
    const unreadable: string[] = [];
    const seen = await hosts(redis, (host, why) => unreadable.push(`${host}: ${why}`));
    expect(seen.map(({ name }) => name)).toEqual(['alpha', 'gamma']);
    expect(unreadable).toEqual([expect.stringMatching(/^beta: ./)]);
    expect((await hosts(redis)).length).toBe(2);
  });

  it('hides neither containers nor journals of others', async () => {
    expect((await hostsWithContainers(redis)).map(({ record }) => record.facts.name)).toEqual([
      'alpha',
      'gamma',
    ]);
    const unreadable: string[] = [];
    const noted = await hostsWithNotes(redis, (host) => unreadable.push(host));
    expect(noted.map(({ name }) => name).sort()).toEqual(['alpha', 'gamma']);
    expect(unreadable).toEqual(['beta']);
  });

  it('is told from one that never announced itself', async () => {
    expect((await hostsNamed(redis, 'alpha', 'gamma')).map(({ name }) => name)).toEqual(['alpha', 'gamma']);
    expect(await failureOf(hostsNamed(redis, 'alpha', 'beta'))).toMatchObject({
      ...{ code: 'HOST_UNREADABLE', details: { host: 'beta' } },
    });
    const unknown = { code: 'HOST_UNKNOWN', details: { host: 'omega', known: 'alpha, gamma' } };
    expect(await failureOf(hostsNamed(redis, 'alpha', 'omega'))).toMatchObject(unknown);
  });
});

const NEVER = new AbortController().signal;
const SOON = { timeout: 15_000 };
const statusIs = (id: string, status: string) =>
  expect.poll(() => redis.hget(keys.saga(id), 'status'), SOON).toBe(status);

describe.each(DAMAGE)('a migration whose report is %s', (form, text) => {
  const [damaged, well] = [`report-${form.length}`, `beside-${form.length}`];
  beforeAll(async () => {
    for (const id of [damaged, well]) await submitMigration(redis, requestOf(id), world.keys);
    await redis.hset(keys.saga(damaged), 'report', text);
  });

  it('hides no other from the lists, and is named', async () => {
    const unreadable: string[] = [];
    const listed = await listSagas(redis, 10, (id) => unreadable.push(id));
    expect(listed.map(({ id }) => id)).toContain(well);
    expect(unreadable).toContain(damaged);
    expect((await openSagas(redis)).map(({ id }) => id)).toContain(well);
  });

  it('is told from one that nobody knows, and can be cancelled and tuned all the same', async () => {
    expect(await failureOf(knownSaga(redis, damaged))).toMatchObject({ code: 'MIGRATION_UNREADABLE' });
    expect(await failureOf(knownSaga(redis, 'nobody'))).toMatchObject({ code: 'MIGRATION_UNKNOWN' });
    expect(
      await failureOf(requestTuning(redis, { id: damaged, tuning: { share: 1 } }, world.keys)),
    ).toBeNull();
    expect(await failureOf(requestCancel(redis, damaged, 'a test'))).toBeNull();
  });
});

describe('a coordinator', () => {
  /** What Redis is made to hold of each when it is taken up first; and the state that is found then. */
  const damage = new Map<string, Record<string, string>>();
  const found = new Map<string, unknown>();
  beforeAll(() => {
    world.coordinator(async (request: MigrationRequest, lease) => {
      const spoilt = damage.get(request.id);
      if (spoilt !== undefined) {
        damage.delete(request.id);
        await redis.hset(keys.saga(request.id), spoilt);
        throw new Error('it is to be taken up once more');
      }
      found.set(request.id, lease.state);
      await lease.save({ by: 'it' }, reportOf(request, 'done'));
    });
  });

  it('finds the state though the report beside it is damaged, and mends that', async () => {
    damage.set('mended', { state: '{"stage":"prepare"}', report: '{torn' });
    await submitMigration(redis, requestOf('mended'), world.keys);
    await statusIs('mended', 'done');
    expect(found.get('mended')).toEqual({ stage: 'prepare' });
    expect((await readSaga(redis, 'mended'))?.report.state).toBe('done');
  });

  it('is given a damaged state as the text that it is', async () => {
    damage.set('torn-state', { state: '{"stage":"prep' });
    await submitMigration(redis, requestOf('torn-state'), world.keys);
    await statusIs('torn-state', 'done');
    expect(found.get('torn-state')).toBe('{"stage":"prep');
  });

  it('queues again what has lost its job, beside one whose signed request is damaged: that one is refused', async () => {
    const long = { requestedAt: Date.now() - 60_000 };
    const ids = ['order-a', 'order-b', 'order-c'];
    for (const id of ids) {
      await redis.hset(keys.saga(id), {
        ...{ status: 'queued', report: JSON.stringify(reportOf(requestOf(id, long), 'queued')) },
        sealed: '{"body":',
      });
      await redis.zadd(keys.sagas, long.requestedAt, id);
      await redis.sadd(keys.open, id);
    }
    for (const id of ids) await statusIs(id, 'refused');
    expect((await readSaga(redis, 'order-a'))?.report.failure).toMatchObject({ code: 'REQUEST_FORGED' });
  });

  it('throws a failed job away that is not JSON: no other would be taken up again', async () => {
    const base = `${PREFIX}:${MIGRATIONS_QUEUE}:`;
    await redis.hset(`${base}broken`, {
      name: 'x',
      data: '{torn',
      opts: '{}',
      timestamp: 1,
      failedReason: 'x',
    });
    await redis.zadd(`${base}failed`, 1, 'broken');
    await expect.poll(() => redis.exists(`${base}broken`), SOON).toBe(0);
  });
});

describe('beside what is damaged', () => {
  it('alarms, events and runs are read', async () => {
    await raiseAlarm(redis, 'm', 'alpha', 'two copies');
    await redis.hset(keys.alarms('m'), 'beta', '{torn');
    expect(await alarmsOf(redis, 'm')).toEqual([{ host: 'alpha', text: 'two copies' }]);
    const event = { v: 1, migration: 'm', at: 1, host: 'alpha', kind: 'note', text: 'well' };
    for (const text of ['{torn', '7', JSON.stringify(event)])
      await redis.xadd(keys.events('m'), '*', 'event', text);
    expect(await eventsOf(redis, 'm')).toEqual([event]);
    const run: ScheduleRun = { dueAt: 1, seenAt: 1, outcome: 'started', missed: 0, id: 'x', failure: null };
    await noteRun(redis, 'nightly', run);
    await redis.lpush(keys.scheduleRuns('nightly'), '{torn', '7');
    expect(await runsOf(redis, 'nightly')).toEqual([run]);
  });

  it('a leg’s result is none, and the answer to an order is named for what it is', async () => {
    const leg = `${PREFIX}:${hostQueue('alpha')}:m_inspect.1.1`;
    await redis.hset(leg, { timestamp: 1, returnvalue: '{torn', finishedOn: 2, ats: 1 });
    expect(await legStatus(redis, 'alpha', 'm_inspect.1.1')).toMatchObject({
      phase: 'completed',
      result: null,
    });
    await redis.hset(migrationJobKey('m'), { returnvalue: '{torn', finishedOn: 2 });
    expect(await failureOf(refusalOf(redis, 'm', NEVER))).toMatchObject({ code: 'ANSWER_UNREADABLE' });
  });

  it('a decision is waited for: what is damaged is no answer', async () => {
    const record = new DecisionRecord(world.address, world.logger);
    await redis.set(keys.decision('m', 1), 'COMM');
    await redis.set(keys.resolution('m'), '{torn');
    const damaged = {
      code: 'REDIS_UNREACHABLE',
      details: { reason: expect.stringContaining('damaged') as string },
    };
    expect(await failureOf(record.read('m', 1, NEVER))).toMatchObject(damaged);
    expect(await failureOf(record.settle('m', 1, 'ABORT', NEVER))).toMatchObject(damaged);
    expect(await failureOf(record.resolution('m', NEVER))).toMatchObject(damaged);
    expect(await record.settle('m', 2, 'ABORT', NEVER)).toBe('ABORT');
    record.close();
  });
});

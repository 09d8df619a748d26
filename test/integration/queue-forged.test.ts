/** What happens to jobs that somebody put into Redis who may write there, but is not trusted. */
import { hostQueue, keys, MIGRATIONS_QUEUE, PREFIX } from '@cmt/contracts';
import { legId, readSaga, seal, submitMigration } from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  draftOf,
  reportOf,
  requestOf,
  resultOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';

let world: QueueWorld;
beforeAll(async () => {
  world = await startQueueWorld();
});
afterAll(() => world.close());

describe('a request that nobody trusted has signed', () => {
  const raw = (queue: string, id: string, data: unknown) => addRaw(queue, id, JSON.stringify(data));
  async function addRaw(queue: string, id: string, data: string): Promise<void> {
    const base = `${PREFIX}:${queue}:`;
    const redis = world.connection();
    await redis.hset(`${base}${id}`, {
      name: 'x',
      data,
      opts: '{"attempts":1}',
      timestamp: 1,
      delay: 0,
      priority: 0,
    });
    await redis.lpush(`${base}wait`, id);
    await redis.zadd(`${base}marker`, 0, '0');
  }
  const answerOf = async (queue: string, id: string): Promise<unknown> => {
    const redis = world.connection();
    const key = `${PREFIX}:${queue}:${id}`;
    await expect.poll(() => redis.hget(key, 'finishedOn'), { timeout: 10_000 }).not.toBeNull();
    return JSON.parse((await redis.hget(key, 'returnvalue')) ?? 'null');
  };
  const ran: string[] = [];
  const queue = hostQueue('gamma');
  const leg = (more: object = {}) => ({
    ...{ v: 1, migration: 'm', issuedAt: Date.now() },
    ...{ ...draftOf('gamma'), ...more },
  });
  beforeAll(() => {
    world.coordinator((request, lease) => lease.save({}, reportOf(request, 'done')));
    world.worker('gamma', (taken) => {
      ran.push(legId(taken));
      return Promise.resolve(resultOf(taken));
    });
  });

  const sealed = (value: unknown, forQueue = queue) => ({
    sealed: seal(forQueue, value, world.keys),
    lease: 1,
  });
  const changed = () => {
    const job = sealed(leg());
    return { ...job, sealed: { ...job.sealed, body: job.sealed.body.replace('refuse', 'close') } };
  };
  const strange = () => {
    const job = sealed(leg());
    return { ...job, sealed: { ...job.sealed, key: '0'.repeat(16) } };
  };
  it.each([
    ['unsigned', () => leg(), 'not a signed job'],
    ['signed for another queue', () => sealed(leg(), hostQueue('delta')), 'signature does not fit'],
    ['changed after it was signed', changed, 'signature does not fit'],
    ['signed by a key that is not trusted', strange, 'is not trusted'],
    ['for another host', () => sealed(leg({ host: 'delta' })), 'meant for delta'],
    ['a copy under another id', () => sealed(leg({ task: 'inspect.1.2' })), 'copy of m_inspect.1.2'],
    ['days old', () => sealed(leg({ issuedAt: Date.now() - 30 * 3_600_000 })), 'signed 30 hours ago'],
  ])('%s: refused as forged, and nothing runs', async (_, data, problem) => {
    const id = 'm_inspect.1.1';
    await world.connection().del(`${PREFIX}:${queue}:${id}`);
    await raw(queue, id, data());
    const details = { queue, host: 'gamma', problem: expect.stringContaining(problem) as string };
    expect(await answerOf(queue, id)).toMatchObject({
      results: [{ ok: false, failure: { code: 'REQUEST_FORGED', details } }],
    });
    expect(ran).toEqual([]);
  });

  it('of a newer format, or without sense: named as what it is', async () => {
    await raw(queue, 'newer', sealed({ ...leg(), v: 2 }));
    await raw(queue, 'senseless', sealed({ v: 1, colour: 'blue' }));
    expect(await answerOf(queue, 'newer')).toMatchObject({
      results: [{ failure: { code: 'REQUEST_NEWER' } }],
    });
    expect(await answerOf(queue, 'senseless')).toMatchObject({
      results: [{ failure: { code: 'REQUEST_INVALID' } }],
    });
    expect(ran).toEqual([]);
  });

  it('not even JSON: removed, and the worker goes on', async () => {
    const redis = world.connection();
    await addRaw(queue, 'garbage', '{not json');
    await expect.poll(() => redis.exists(`${PREFIX}:${queue}:garbage`), { timeout: 10_000 }).toBe(0);
    expect(await redis.lrange(`${PREFIX}:${queue}:active`, 0, -1)).not.toContain('garbage');
    await raw(queue, 'm_last.1.1', sealed(leg({ task: 'last.1.1' })));
    expect(await answerOf(queue, 'm_last.1.1')).toMatchObject({ results: [{ ok: true }] });
    expect(ran).toEqual(['m_last.1.1']);
  });

  it('put into the queue once more after it has ended: answered from the ledger', async () => {
    const redis = world.connection();
    await redis.del(`${PREFIX}:${queue}:m_last.1.1`);
    await raw(queue, 'm_last.1.1', sealed(leg({ task: 'last.1.1' })));
    expect(await answerOf(queue, 'm_last.1.1')).toMatchObject({ results: [{ ok: true }] });
    expect(ran).toEqual(['m_last.1.1']);
  });

  it('as a migration: ends as refused, visible to whoever asked', async () => {
    const redis = world.connection();
    const stranger = { ...world.keys, id: 'f'.repeat(16) };
    await submitMigration(redis, requestOf('forged'), stranger);
    await expect
      .poll(async () => (await readSaga(redis, 'forged'))?.report, { timeout: 5000 })
      .toMatchObject({
        state: 'refused',
        failure: { code: 'REQUEST_FORGED' },
      });
  });

  it('of a newer format, as a migration: ends as refused, and says so', async () => {
    const redis = world.connection();
    await submitMigration(redis, { ...requestOf('newer'), v: 2 as never }, world.keys);
    // As the newer cmt that asked reads it: to this one the request in the report is as strange as the signed one.
    const report = async () =>
      JSON.parse((await redis.hget(keys.saga('newer'), 'report')) ?? '{}') as unknown;
    await expect.poll(report, { timeout: 5000 }).toMatchObject({
      ...{ state: 'refused', failure: { code: 'REQUEST_NEWER', details: { version: 2 } } },
      ...{ message: expect.stringContaining('2') as string, request: { v: 2 } },
    });
    expect(await redis.sismember(keys.open, 'newer')).toBe(0);
  });

  it('as a migration that has ended, with every trace of it deleted: runs nothing', async () => {
    const redis = world.connection();
    await submitMigration(redis, requestOf('twice'), world.keys);
    const job = `${PREFIX}:${MIGRATIONS_QUEUE}:migration_twice`;
    await expect.poll(() => redis.hget(job, 'finishedOn'), { timeout: 5000 }).not.toBeNull();
    await redis.del(job, keys.saga('twice'));
    await submitMigration(redis, requestOf('twice'), world.keys);
    await expect
      .poll(async () => (await readSaga(redis, 'twice'))?.report.state, { timeout: 5000 })
      .toBe('refused');
  });
});

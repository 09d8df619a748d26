/** The queue between one client, one coordinator and its workers, while nothing goes wrong. */
import { hostQueue, keys, MIGRATIONS_QUEUE, PREFIX, type MigrationEvent } from '@cmt/contracts';
import {
  coordinatorAlive,
  follow,
  legId,
  listSagas,
  readSaga,
  requestCancel,
  submitMigration,
  tell,
} from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aborted,
  draftOf,
  LIMITS,
  promised,
  reportOf,
  requestOf,
  resultOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';

const NEVER = new AbortController().signal;

let world: QueueWorld;
beforeAll(async () => {
  world = await startQueueWorld();
});
afterAll(() => world.close());

/** Runs one migration whose handler is given, and returns its events. */
async function migrate(id: string): Promise<string[]> {
  const redis = world.connection();
  await submitMigration(redis, requestOf(id), world.keys);
  const seen: string[] = [];
  for await (const event of follow(redis, id, true, AbortSignal.timeout(15_000))) seen.push(event.text);
  return seen;
}

describe('a migration through the queue', () => {
  const legs: string[] = [];
  beforeAll(() => {
    world.coordinator(async (request, lease) => {
      await lease.save({ stage: 'begun' }, reportOf(request, 'running'));
      if (request.id.startsWith('waits')) {
        const reason = String(await aborted(lease.cancelled));
        await lease.tell({ kind: 'note', text: `cancel: ${reason}` });
        await lease.save({ stage: 'end' }, reportOf(request, 'cancelled'));
        return;
      }
      const { results } = await lease.dispatch(draftOf('alpha'), LIMITS, NEVER);
      await lease.tell({ kind: 'note', text: JSON.stringify(results[0]) });
      await lease.save({ stage: 'end' }, reportOf(request, 'done'));
    });
    world.worker('alpha', (leg) => {
      legs.push(legId(leg));
      return Promise.resolve(resultOf(leg, { asked: leg.migration }));
    });
  });

  it('goes from request to result, told in order, stored, and in the list', async () => {
    const seen = await migrate('plain');
    expect(seen[0]).toBe('queued');
    expect(seen[1]).toBe('running');
    expect(JSON.parse(seen[2]!)).toMatchObject({ ok: true, step: 'inspect', output: { asked: 'plain' } });
    expect(seen[3]).toBe('done');
    const saga = await readSaga(world.connection(), 'plain');
    expect(saga).toMatchObject({ state: { stage: 'end' }, report: { state: 'done' }, version: 2 });
    expect((await listSagas(world.connection(), 10)).map(({ id }) => id)).toContain('plain');
    expect(legs).toEqual(['plain_inspect.1.1']);
  });

  it('is one migration, however often it is asked for', async () => {
    const redis = world.connection();
    const request = requestOf('once');
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => submitMigration(redis, request, world.keys)),
    );
    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1);
    const seen: string[] = [];
    for await (const event of follow(redis, 'once', true, AbortSignal.timeout(15_000))) seen.push(event.text);
    expect(seen.filter((text) => text === 'running')).toHaveLength(1);
    const late = await submitMigration(redis, request, world.keys);
    expect(late).toMatchObject({ isNew: false, report: { state: 'done' } });
    expect(legs.filter((leg) => leg.startsWith('once_'))).toHaveLength(1);
  });

  it('hears of a cancel while it runs, with its reason', async () => {
    const redis = world.connection();
    const following = migrate('waits');
    await expect
      .poll(async () => (await readSaga(redis, 'waits'))?.report.state, { timeout: 5000 })
      .toBe('running');
    await requestCancel(redis, 'waits', 'lunch');
    expect(await following).toEqual(['queued', 'running', 'cancel: lunch', 'cancelled']);
    await expect(requestCancel(redis, 'waits', 'again')).rejects.toMatchObject({
      failure: { code: 'TOO_LATE_TO_CANCEL' },
    });
    await expect(requestCancel(redis, 'nobody', 'x')).rejects.toMatchObject({
      failure: { code: 'MIGRATION_UNKNOWN' },
    });
  });

  it('is told once more to whoever comes late', async () => {
    await migrate('late');
    const seen: string[] = [];
    for await (const event of follow(world.connection(), 'late', true, AbortSignal.timeout(5000)))
      seen.push(event.kind);
    expect(seen).toEqual(['state', 'state', 'note', 'state']);
    for await (const event of follow(world.connection(), 'late', false, AbortSignal.timeout(5000)))
      throw new Error(`nothing more is told, but: ${event.text}`);
  });

  it('says that a coordinator is there', async () => {
    await expect.poll(() => coordinatorAlive(world.connection()), { timeout: 5000 }).toBe(true);
  });

  it('leaves a job tree for Bull Board, and no child pending', async () => {
    await migrate('tree');
    const redis = world.connection();
    const job = `${PREFIX}:${MIGRATIONS_QUEUE}:migration_tree`;
    await expect.poll(() => redis.hget(job, 'finishedOn'), { timeout: 5000 }).not.toBeNull();
    expect(await redis.hkeys(`${job}:processed`)).toEqual([
      `${PREFIX}:${hostQueue('alpha')}:tree_inspect.1.1`,
    ]);
    expect(await redis.hget(job, 'failedReason')).toBeNull();
  });

  it('leaves no stream of BullMQ that grows with every leg', async () => {
    const ids = Array.from({ length: 60 }, (_, at) => `many-${at}`);
    await Promise.all(ids.map(migrate));
    const events = `${PREFIX}:${hostQueue('alpha')}:events`;
    // Redis drops a node of a hundred entries at a time.
    expect(await world.connection().xlen(events)).toBeLessThan(150);
  });
});

describe('a stream of events', () => {
  it('ends with the end even when nobody told of it', async () => {
    const redis = world.connection();
    await tell(redis, { v: 1, migration: 'mute', at: 1, host: 'x', kind: 'note', text: 'hello' });
    await redis.hset(keys.saga('mute'), 'status', 'done');
    const seen: string[] = [];
    for await (const { text } of follow(redis, 'mute', true, AbortSignal.timeout(5000))) seen.push(text);
    expect(seen).toEqual(['hello']);
  });

  it('ends when its reader has had enough', async () => {
    const enough = new AbortController();
    const began = promised<MigrationEvent>();
    const reading = (async () => {
      await tell(world.connection(), {
        v: 1,
        migration: 'quiet',
        at: 1,
        host: 'x',
        kind: 'note',
        text: 'hello',
      });
      for await (const event of follow(world.connection(), 'quiet', true, enough.signal)) began.keep(event);
    })();
    await began.promise;
    enough.abort();
    await reading;
  });
});

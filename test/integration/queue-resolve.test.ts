/** Orders of `cmt resolve` through a real Redis: obeyed once, by the migration that waited; anything else changes nothing. */
import { keys, type ResolveOrder } from '@cmt/contracts';
import {
  readSaga,
  refusalOf,
  requestResolve,
  seal,
  submitMigration,
  untilTaken,
  type KeyPair,
} from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS_QUEUE } from '@cmt/contracts';
import { openMigrationsQueue, replaceMigration } from '../../libs/queue/src/migration-job.ts';
import { migrationJobKey } from '../../libs/queue/src/migration-key.ts';
import { reportOf, requestOf, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';

const NEVER = new AbortController().signal;
let world: QueueWorld;
const obeyed: ResolveOrder[] = [];
beforeAll(async () => {
  world = await startQueueWorld();
  world.coordinator(async (request, lease) => {
    if (lease.order !== null) obeyed.push(lease.order);
    await lease.save({}, reportOf(request, 'running'));
    await lease.save({}, reportOf(request, lease.order === null ? 'needs-operator' : 'rolled-back'));
  });
});
afterAll(() => world.close());

const redis = () => world.connection();
const standing = async (id: string) => (await readSaga(redis(), id))?.report.state;

/** A migration that nobody could decide; the version at which it stands. */
async function stuck(id: string): Promise<number> {
  await submitMigration(redis(), requestOf(id), world.keys);
  await expect
    .poll(() => redis().hget(migrationJobKey(id), 'finishedOn'), { timeout: 10_000 })
    .not.toBeNull();
  expect(await standing(id)).toBe('needs-operator');
  return (await readSaga(redis(), id))!.version;
}

const orderOf = (id: string, version: number, more: Partial<ResolveOrder> = {}): ResolveOrder => ({
  ...{
    v: 1,
    kind: 'resolve',
    migration: id,
    fenced: 'beta',
    version,
    nonce: `nonce${id.replace(/\W/g, '')}`,
  },
  ...{ issuedAt: Date.now(), ...more },
});

/** Puts an order in the place of the migration's job, as anybody can who may write to Redis; why it was refused. */
async function put(id: string, order: ResolveOrder, as: KeyPair = world.keys, queue = MIGRATIONS_QUEUE) {
  const migrations = openMigrationsQueue(redis());
  expect(await replaceMigration(migrations, id, seal(queue, order, as))).toBe(true);
  await migrations.close();
  await untilTaken(redis(), { id, version: order.version }, NEVER);
  return await refusalOf(redis(), id, NEVER);
}

describe('an order to resolve', () => {
  it('is obeyed once, and the migration ends under the same lock', async () => {
    const version = await stuck('right');
    await requestResolve(redis(), { id: 'right', fenced: 'beta', version }, world.keys);
    expect(await refusalOf(redis(), 'right', NEVER)).toBeNull();
    expect(await standing('right')).toBe('rolled-back');
    expect(obeyed).toMatchObject([{ migration: 'right', fenced: 'beta' }]);
  });

  it('is refused before it is sent where there is nothing to resolve', async () => {
    const ask = (id: string, fenced: string) =>
      requestResolve(redis(), { id, fenced, version: 1 }, world.keys);
    const refusal = (code: string): unknown =>
      expect.objectContaining({ failure: expect.objectContaining({ code }) as unknown });
    await expect(ask('nobody', 'beta')).rejects.toEqual(refusal('MIGRATION_UNKNOWN'));
    await expect(ask('right', 'beta')).rejects.toEqual(refusal('NOT_STUCK'));
    await stuck('elsewhere');
    await expect(ask('elsewhere', 'gamma')).rejects.toEqual(refusal('NOT_A_SIDE'));
  });

  const stranger = (): KeyPair => ({ ...world.keys, id: 'f'.repeat(16) });
  it.each([
    ['signed by a key that nobody trusts', {}, () => stranger(), MIGRATIONS_QUEUE, 'REQUEST_FORGED'],
    ['signed for another queue', {}, () => world.keys, 'cmt.host.beta', 'REQUEST_FORGED'],
    ['about another migration', { migration: 'other' }, () => world.keys, MIGRATIONS_QUEUE, 'REQUEST_FORGED'],
    [
      'that is a day old',
      { issuedAt: Date.now() - 86_400_000 },
      () => world.keys,
      MIGRATIONS_QUEUE,
      'REQUEST_FORGED',
    ],
    ['about an earlier standstill', { version: 1 }, () => world.keys, MIGRATIONS_QUEUE, 'NOT_STUCK'],
    ['about a stranger’s host', { fenced: 'gamma' }, () => world.keys, MIGRATIONS_QUEUE, 'NOT_A_SIDE'],
  ] as const)('%s: refused, and nothing changes', async (what, more, key, queue, code) => {
    const id = `m-${what.replace(/\W+/g, '-')}`;
    const version = await stuck(id);
    const before = await redis().hgetall(keys.saga(id));
    obeyed.length = 0;
    expect(await put(id, orderOf(id, version, more), key(), queue)).toMatchObject({ code });
    expect(obeyed).toEqual([]);
    const { state, report, version: now } = await redis().hgetall(keys.saga(id));
    expect([state, report, now]).toEqual([before['state'], before['report'], before['version']]);
  });

  it('that was obeyed before is refused, even when Redis has been set back to how it was', async () => {
    const version = await stuck('again');
    const before = await redis().hgetall(keys.saga('again'));
    const order = orderOf('again', version);
    expect(await put('again', order)).toBeNull();
    obeyed.length = 0;
    await redis().hset(keys.saga('again'), before);
    expect(await put('again', order)).toMatchObject({ code: 'REQUEST_FORGED' });
    expect(obeyed).toEqual([]);
  });

  it('whose coordinator died in the middle is gone on with, not begun again', async () => {
    const version = await stuck('half');
    const report = reportOf(requestOf('half'), 'rolling-back');
    await redis().hset(keys.saga('half'), { report: JSON.stringify(report), status: 'rolling-back' });
    obeyed.length = 0;
    expect(await put('half', orderOf('half', version))).toBeNull();
    expect(obeyed).toEqual([]);
    expect(await standing('half')).toBe('needs-operator');
  });
});

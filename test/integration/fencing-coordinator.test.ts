/**
 * A coordinator that was taken over and does not know it yet: whatever it tries, 1,000 times each, nothing changes.
 * Everything goes to a real Redis, past the checks that this process makes of itself.
 */
import { hostQueue, keys, MIGRATIONS_QUEUE, PREFIX, type Leg } from '@cmt/contracts';
import {
  consumeLegs,
  DecisionRecord,
  Fenced,
  legId,
  LOCK_TIMING,
  seal,
  type RedisConnection,
} from '@cmt/queue';
import { getEventListeners, setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bus } from '../../libs/queue/src/bus.ts';
import { Dispatcher } from '../../libs/queue/src/dispatch.ts';
import { addLeg, openHostQueue } from '../../libs/queue/src/leg-job.ts';
import { cutChildrenLoose } from '../../libs/queue/src/migration-job.ts';
import { migrationJobId } from '../../libs/queue/src/migration-key.ts';
import { claimLease, registerForgotten, saveSaga } from '../../libs/queue/src/store.ts';
import {
  draftOf,
  LIMITS,
  reportOf,
  requestOf,
  resultOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';

const TRIES = 1000;
const NEVER = new AbortController().signal;
// A thousand votes wait under it at once, each with a listener of its own; 'deciding otherwise' sees that none is left.
setMaxListeners(0, NEVER);
/** The present owner's number; whoever came before had a smaller one. */
const LEASE = TRIES + 1;
const job = `${PREFIX}:${MIGRATIONS_QUEUE}:${migrationJobId('m1')}`;
const request = requestOf('m1');
let world: QueueWorld;
let redis: RedisConnection;

beforeAll(async () => {
  world = await startQueueWorld();
  redis = world.connection();
  await redis.set(`${job}:lock`, 'present');
  await redis.hset(keys.saga('m1'), 'lease', LEASE - 1);
  expect(await claimLease(redis, 'present', 'm1')).toMatchObject({ number: LEASE });
  await saveSaga(redis, 'present', { by: 'present' }, reportOf(request, 'running'), 'present');
});
afterAll(() => world.close());

/** All that Redis holds, but for what beats by itself. */
async function everything(): Promise<Map<string, unknown>> {
  const names = (await redis.keys('*')).filter((name) => !/:stalled-check$|:hosts$/.test(name)).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await contentOf(name)] as const)));
}

async function contentOf(name: string): Promise<unknown> {
  switch (await redis.type(name)) {
    case 'string':
      return await redis.get(name);
    case 'hash':
      return await redis.hgetall(name);
    case 'list':
      return await redis.lrange(name, 0, -1);
    case 'set':
      return (await redis.smembers(name)).sort();
    case 'zset':
      return await redis.zrange(name, 0, -1, 'WITHSCORES');
    default:
      return await redis.xrange(name, '-', '+');
  }
}

/** How many of 1,000 tries were accepted, when all that Redis holds must stay as it is. */
async function accepted(attempt: (n: number) => Promise<unknown>): Promise<number> {
  const before = await everything();
  const outcomes = await Promise.allSettled(Array.from({ length: TRIES }, (_, n) => attempt(n)));
  expect(await everything()).toEqual(before);
  const refused = outcomes.filter(
    ({ status, ...more }) => status === 'rejected' && 'reason' in more && more.reason instanceof Fenced,
  );
  return TRIES - refused.length;
}

const legOf = (n: number, task = `inspect.1.${n + 1}`): Leg => ({
  ...draftOf('alpha', task),
  ...{ v: 1, migration: 'm1', issuedAt: Date.now() },
});

describe('what a stale coordinator tries changes nothing', () => {
  it('saving a state', async () => {
    const stale = reportOf(request, 'needs-operator');
    expect(await accepted((n) => saveSaga(redis, `past-${n}`, { by: 'stale' }, stale, 'stale'))).toBe(0);
  });

  it('claiming a number', async () => {
    expect(await accepted((n) => claimLease(redis, `past-${n}`, 'm1'))).toBe(0);
  });

  it('letting go of the legs', async () => {
    await redis.sadd(`${job}:dependencies`, `${PREFIX}:cmt.host.alpha:m1_inspect.1.1`);
    expect(await accepted((n) => cutChildrenLoose(redis, 'm1', `past-${n}`))).toBe(0);
  });

  it('registering the migration anew, as one that Redis had forgotten', async () => {
    const { source, target } = request;
    const order = {
      v: 1,
      recover: 'm1',
      runtime: 'runc',
      container: 'web',
      source,
      target,
      missedAt: 1,
    } as const;
    const bundles = { sourceBundle: '/srv/web', targetBundle: '/srv/web' };
    const before = await everything();
    const made = await Promise.all(
      Array.from({ length: TRIES }, () =>
        registerForgotten(redis, reportOf(request, 'queued'), { ...order, ...bundles }),
      ),
    );
    expect(made.filter(Boolean)).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  it('deciding otherwise', async () => {
    const record = new DecisionRecord(world.address, world.logger);
    try {
      expect(await record.settle('m1', 1, 'COMMIT', NEVER)).toBe('COMMIT');
      const votes = await Promise.all(
        Array.from({ length: TRIES }, () => record.settle('m1', 1, 'ABORT', NEVER)),
      );
      expect(votes.filter((vote) => vote !== 'COMMIT')).toEqual([]);
      expect(await record.read('m1', 1, NEVER)).toBe('COMMIT');
      expect(getEventListeners(NEVER, 'abort')).toEqual([]);
    } finally {
      record.close();
    }
  });

  it('asking for legs: new ones, and those that the present one has adopted', async () => {
    const bus = new Bus(redis, [], world.logger);
    const dispatcher = new Dispatcher(redis, bus, world.keys);
    const queue = openHostQueue(redis, 'alpha');
    try {
      const parent = { id: migrationJobId('m1'), queue: `${PREFIX}:${MIGRATIONS_QUEUE}` };
      await redis.hset(job, { data: '{}', opts: '{}', name: 'migrate', timestamp: 1, delay: 0 });
      const adopted = legOf(0, 'prepare.1.1');
      await addLeg(queue, {
        leg: adopted,
        lease: 1,
        sealed: seal(hostQueue('alpha'), adopted, world.keys),
        parent,
      });
      await redis.hset(`${PREFIX}:${hostQueue('alpha')}:${legId(adopted)}`, 'adopted', LEASE);
      const stop = AbortSignal.abort(new Error('enough'));
      const ask = (n: number) =>
        dispatcher.dispatch(
          n % 2 === 0 ? legOf(n) : adopted,
          { lease: n + 1, owned: new AbortController().signal, stop },
          LIMITS,
        );
      expect(await accepted(ask)).toBe(0);
    } finally {
      await queue.close();
      bus.close();
    }
  });
});

describe('legs that it had queued', () => {
  it('are refused by the worker, every one of them', { timeout: 60_000 }, async () => {
    const runs: string[] = [];
    const queue = openHostQueue(redis, 'beta');
    const parent = { id: migrationJobId('m1'), queue: `${PREFIX}:${MIGRATIONS_QUEUE}` };
    const ids = await Promise.all(
      Array.from({ length: TRIES }, async (_, n) => {
        const leg = { ...legOf(n), host: 'beta' };
        await addLeg(queue, { leg, lease: n + 1, sealed: seal(hostQueue('beta'), leg, world.keys), parent });
        return legId(leg);
      }),
    );
    const worker = consumeLegs(
      {
        ...{
          redis: world.connection(),
          host: 'beta',
          concurrency: TRIES,
          trust: world.trust,
          logger: world.logger,
        },
        ...{ ledgerDir: join(world.redis.dir, 'ledger', 'beta'), timing: LOCK_TIMING },
      },
      (leg) => {
        runs.push(legId(leg));
        return Promise.resolve(resultOf(leg));
      },
    );
    try {
      await expect.poll(() => queue.getCompletedCount(), { timeout: 50_000, interval: 200 }).toBe(TRIES);
      const results = await Promise.all(
        ids.map((id) => redis.hget(`${PREFIX}:${hostQueue('beta')}:${id}`, 'returnvalue')),
      );
      expect(results.filter((result) => !result?.includes('has lost the migration'))).toEqual([]);
      expect(runs).toEqual([]);
    } finally {
      await worker.close(0);
      await queue.close();
    }
  });
});

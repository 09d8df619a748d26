/** What the queue keeps besides jobs: decisions, hosts, and what Redis promises. */
import { keys, type CmtError } from '@cmt/contracts';
import {
  announce,
  announceOnce,
  connectProducer,
  DecisionRecord,
  hostsNamed,
  hosts,
  keepsEveryWrite,
  parseRedisUrl,
  redisFacts,
} from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostRecordOf, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';

const never = (): AbortSignal => new AbortController().signal;
const NEVER = never();

let world: QueueWorld;
beforeAll(async () => {
  world = await startQueueWorld();
});
afterAll(() => world.close());

describe('the decision', () => {
  it('is the first of a hundred votes, for everybody', async () => {
    const records = Array.from({ length: 10 }, () => new DecisionRecord(world.address, world.logger));
    const votes = Array.from({ length: 100 }, (_, n) =>
      records[n % 10]!.settle('m1', 1, n % 2 === 0 ? 'COMMIT' : 'ABORT', never()),
    );
    const settled = new Set(await Promise.all(votes));
    expect(settled.size).toBe(1);
    const [decision] = settled;
    const other = decision === 'COMMIT' ? 'ABORT' : 'COMMIT';
    expect(await records[0]!.settle('m1', 1, other, NEVER)).toBe(decision);
    expect(await records[1]!.read('m1', 1, NEVER)).toBe(decision);
    expect(await records[1]!.read('m1', 2, NEVER)).toBeNull();
    records.forEach((record) => record.close());
  });

  it('is not waited for longer than two seconds, nor longer than the caller wants', async () => {
    const nowhere = new DecisionRecord(parseRedisUrl('redis://127.0.0.1:1'), world.logger);
    const begun = performance.now();
    await expect(nowhere.settle('m1', 1, 'ABORT', NEVER)).rejects.toMatchObject({
      failure: { code: 'REDIS_UNREACHABLE' },
    });
    expect(performance.now() - begun).toBeLessThan(3000);
    await expect(nowhere.read('m1', 1, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    nowhere.close();
  });
});

describe('the registry', () => {
  it('knows a host from its first word to its good-bye', async () => {
    const redis = world.connection();
    const announcer = announce(redis, 'omega', () => hostRecordOf('omega'), world.logger);
    await announcer.now();
    expect((await hostsNamed(redis, 'omega'))[0]).toMatchObject({
      state: 'online',
      record: { facts: { name: 'omega' } },
    });
    await announcer.close();
    expect((await hostsNamed(redis, 'omega'))[0]).toMatchObject({ state: 'offline' });
  });

  it('tells online from unreachable from offline by age on the clock of Redis', async () => {
    const redis = world.connection();
    await announceOnce(redis, hostRecordOf('aged'));
    const age = async (ms: number) => {
      await redis.zincrby(keys.hosts, -ms, 'aged');
      return (await hosts(redis)).find(({ name }) => name === 'aged')?.state;
    };
    expect(await age(5_000)).toBe('online');
    expect(await age(10_000)).toBe('unreachable');
    expect(await age(60_000)).toBe('offline');
  });

  it('names the hosts it knows to whoever asks for another', async () => {
    await expect(hostsNamed(world.connection(), 'nobody')).rejects.toMatchObject({
      failure: {
        code: 'HOST_UNKNOWN',
        details: { host: 'nobody', known: expect.stringContaining('aged') as string },
      },
    });
  });
});

describe('a connection', () => {
  it('is refused fast, with the address and without the password', async () => {
    const begun = performance.now();
    const attempt = connectProducer(parseRedisUrl('redis://:secret@127.0.0.1:1'), world.logger);
    const error = (await attempt.catch((cause: unknown) => cause)) as CmtError;
    expect(error.failure).toMatchObject({
      code: 'REDIS_UNREACHABLE',
      details: { url: 'redis://127.0.0.1:1', reason: expect.stringContaining('ECONNREFUSED') as string },
    });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('tells what Redis promises', async () => {
    const facts = await redisFacts(world.connection());
    expect(facts).toMatchObject({ appendonly: true, appendfsync: 'always', maxmemoryPolicy: 'noeviction' });
    expect(keepsEveryWrite(facts)).toBe(true);
  });
});

/** What is changed about a migration under way reaches its coordinator and, through it, the workers, if somebody trusted has signed it. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keys, type CmtError, type Tuning } from '@cmt/contracts';
import {
  Fenced,
  loadKeyPair,
  readSaga,
  readTuning,
  trustIn,
  requestCancel,
  requestTuning,
  submitMigration,
  type KeyPair,
} from '@cmt/queue';
import { pino } from 'pino';
import { passTuningOn } from '../../libs/queue/src/tune.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  aborted,
  promised,
  reportOf,
  requestOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';
import { codeOf, until } from '../support/transfer-pair.ts';

let world: QueueWorld;
/** Trusted by the coordinator and by no worker. */
let client: KeyPair;
/** What each of them heard last. */
const heard: { coordinator: Tuning; worker: Tuning } = { coordinator: {}, worker: {} };

beforeAll(async () => {
  world = await startQueueWorld();
  const { dir } = world.redis;
  client = await loadKeyPair(join(dir, 'client'));
  await mkdir(join(dir, 'trusted'));
  await copyFile(join(dir, 'client/keys/cmt.pub'), join(dir, 'trusted/client.pub'));
  world.coordinator(
    async (request, lease) => {
      lease.onTuned((tuning) => (heard.coordinator = tuning));
      await lease.save({ stage: 'begun' }, reportOf(request, 'running'));
      await aborted(lease.cancelled);
      await lease.save({ stage: 'end' }, reportOf(request, 'cancelled'));
    },
    { trust: trustIn(world.keys, join(dir, 'trusted'), world.logger) },
  );
  world
    .worker('alpha', () => Promise.reject(new Error('no legs here')))
    .onTuned((migration, tuning) => {
      if (migration === 'tuned') heard.worker = tuning;
    });
  await submitMigration(world.connection(), requestOf('tuned'), client);
});
afterAll(() => world.close());

const tune = (tuning: Tuning, by = client) => requestTuning(world.connection(), { id: 'tuned', tuning }, by);
const bothHear = async (tuning: Tuning): Promise<void> => {
  await until(() =>
    [heard.coordinator, heard.worker].every((one) => JSON.stringify(one) === JSON.stringify(tuning)),
  );
};

it('one change leaves the other as it was, and a limit can be taken away', async () => {
  await tune({ bandwidth: 50_000_000 });
  await bothHear({ bandwidth: 50_000_000 });
  await tune({ maxDowntimeMs: 700 });
  await bothHear({ bandwidth: 50_000_000, maxDowntimeMs: 700 });
  await tune({ bandwidth: null });
  await bothHear({ bandwidth: null, maxDowntimeMs: 700 });
});

it('a stranger changes nothing, nor does a good order beside another migration', async () => {
  const redis = world.connection();
  await tune({ bandwidth: 1_000_000 });
  await bothHear({ bandwidth: 1_000_000, maxDowntimeMs: 700 });
  const good = (await redis.hget(keys.tuning('tuned'), 'bandwidth')) ?? '';
  await tune({ bandwidth: 70_000 }, await loadKeyPair(join(world.redis.dir, 'stranger')));
  // What others have signed holds all the same.
  await tune({ maxDowntimeMs: 800, share: 90_000 });
  await bothHear({ maxDowntimeMs: 800, share: 90_000 });
  await redis.hset(keys.tuning('other'), 'bandwidth', good);
  const opener = { trust: trustIn(client, undefined, pino({ level: 'silent' })), host: 'alpha' };
  const refused: string[] = [];
  const refuse = ({ failure }: CmtError) => refused.push(failure.code);
  expect(await readTuning(redis, 'tuned', opener, refuse)).toEqual({ maxDowntimeMs: 800, share: 90_000 });
  expect(await readTuning(redis, 'other', opener, refuse)).toEqual({});
  expect(refused).toEqual(['REQUEST_FORGED', 'REQUEST_FORGED']);
});

it('a worker that begins to listen hears what was said before, of what it has part in', async () => {
  const missed = promised<[string, Tuning]>();
  world
    .worker('beta', () => Promise.reject(new Error('no legs here')))
    .onTuned((...said) => missed.keep(said), {
      has: () => Promise.resolve(true),
      underWay: () => Promise.resolve(['tuned']),
    });
  expect(await missed.promise).toEqual(['tuned', heard.worker]);
});

it('a coordinator that has lost the migration tells workers nothing', async () => {
  const redis = world.connection();
  const before = await redis.hget(keys.tuning('tuned'), 'obeyed');
  const told = passTuningOn(redis, 'a past token', { id: 'tuned', tuning: { bandwidth: null } }, world.keys);
  await expect(told).rejects.toThrow(Fenced);
  expect(await redis.hget(keys.tuning('tuned'), 'obeyed')).toBe(before);
});

it('an unknown migration and one that has ended are refused', async () => {
  const redis = world.connection();
  expect(await codeOf(requestTuning(redis, { id: 'never', tuning: { bandwidth: null } }, client))).toBe(
    'MIGRATION_UNKNOWN',
  );
  await requestCancel(redis, 'tuned', 'enough');
  while ((await readSaga(redis, 'tuned'))?.report.state !== 'cancelled')
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await codeOf(tune({ bandwidth: null }))).toBe('TOO_LATE_TO_TUNE');
});

/** What is changed about a migration under way reaches its coordinator and the workers, if somebody trusted has signed it. */
import { join } from 'node:path';
import { keys, type CmtError, type Tuning } from '@cmt/contracts';
import {
  loadKeyPair,
  readSaga,
  readTuning,
  trustIn,
  requestCancel,
  requestTuning,
  submitMigration,
} from '@cmt/queue';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { aborted, reportOf, requestOf, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';
import { codeOf, until } from '../support/transfer-pair.ts';

let world: QueueWorld;
/** What each of them heard last. */
const heard: { coordinator: Tuning; worker: Tuning } = { coordinator: {}, worker: {} };

beforeAll(async () => {
  world = await startQueueWorld();
  world.coordinator(async (request, lease) => {
    lease.onTuned((tuning) => (heard.coordinator = tuning));
    await lease.save({ stage: 'begun' }, reportOf(request, 'running'));
    await aborted(lease.cancelled);
    await lease.save({ stage: 'end' }, reportOf(request, 'cancelled'));
  });
  world
    .worker('alpha', () => Promise.reject(new Error('no legs here')))
    .onTuned((migration, tuning) => {
      if (migration === 'tuned') heard.worker = tuning;
    });
  await submitMigration(world.connection(), requestOf('tuned'), world.keys);
});
afterAll(() => world.close());

const tune = (tuning: Tuning, by = world.keys) =>
  requestTuning(world.connection(), { id: 'tuned', tuning }, by);
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
  const opener = { trust: trustIn(world.keys, undefined, pino({ level: 'silent' })), host: 'alpha' };
  const refused: string[] = [];
  const refuse = ({ failure }: CmtError) => refused.push(failure.code);
  expect(await readTuning(redis, 'tuned', opener, refuse)).toEqual({ maxDowntimeMs: 800, share: 90_000 });
  expect(await readTuning(redis, 'other', opener, refuse)).toEqual({});
  expect(refused).toEqual(['REQUEST_FORGED', 'REQUEST_FORGED']);
});

it('an unknown migration and one that has ended are refused', async () => {
  const redis = world.connection();
  expect(await codeOf(requestTuning(redis, { id: 'never', tuning: { bandwidth: null } }, world.keys))).toBe(
    'MIGRATION_UNKNOWN',
  );
  await requestCancel(redis, 'tuned', 'enough');
  while ((await readSaga(redis, 'tuned'))?.report.state !== 'cancelled')
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await codeOf(tune({ bandwidth: null }))).toBe('TOO_LATE_TO_TUNE');
});

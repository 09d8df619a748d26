/** A job that Redis gave to a connection which was dead when the answer came: its worker does not know that it has it. */
import { hostQueue, PREFIX } from '@cmt/contracts';
import { legId, LOCK_TIMING, seal } from '@cmt/queue';
import { expect } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { aWorld, it, oneLeg, recorder, submit, until } from '../support/queue-faults.ts';
import { aborted, draftOf, promised } from '../support/queue-world.ts';

it('goes back to its queue long before its lock runs out, and one that is worked on does not', async (context) => {
  const world = await aWorld(context);
  const redis = world.connection();
  const base = `${PREFIX}:${hostQueue('alpha')}:`;
  const enough = promised();
  const legs = recorder((_, signal) => Promise.race([enough.promise, aborted(signal)]));
  world.worker('alpha', legs.run, { timing: LOCK_TIMING });
  oneLeg(world, { timing: LOCK_TIMING });
  await submit(world, 'm1');
  await legs.began;
  const own = (await redis.get(`${base}m1_inspect.1.1:lock`)) ?? '';
  const [worker] = own.split(':');

  const leg = { ...draftOf('alpha', 'inspect.1.2'), v: 1, migration: 'm1', issuedAt: Date.now() } as const;
  const id = legId(leg);
  const lease = Number(await redis.hget(`${PREFIX}:saga:m1`, 'lease'));
  const data = JSON.stringify({ sealed: seal(hostQueue('alpha'), leg, world.keys), lease });
  await redis.hset(`${base}${id}`, { name: 'inspect', data, opts: '{}', timestamp: 1, delay: 0, ats: 1 });
  await redis.set(`${base}${id}:lock`, `${worker}:999`, 'PX', 120_000);
  await redis.lpush(`${base}active`, id);
  // What happens to such a connection, and with it to all others.
  await redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

  await until(() => legs.runs.length === 2, 9_000);
  await delay(4_000);
  expect(legs.runs.map(({ ended }) => ended)).toEqual([null, null]);
  enough.keep();
  await until(async () => (await redis.hget(`${base}${id}`, 'returnvalue')) !== null);
  expect(legs.runs).toHaveLength(2);
});

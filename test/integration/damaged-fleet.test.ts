/** A fleet in whose Redis something is damaged: the real coordinator, queue and CLI; hosts that only say what real ones would. */
import { keys, MigrationRequest } from '@cmt/contracts';
import { submitMigration } from '@cmt/queue';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCmt } from '../support/cmt.ts';
import { until } from '../support/queue-faults.ts';
import { promised } from '../support/queue-world.ts';
import { startStandInFleet, type StandInFleet } from '../support/stand-in-fleet.ts';

beforeAll(() => buildCmt(), 150_000);

const ask = async (fleet: StandInFleet, id: string) => {
  const wish = {
    v: 1,
    id,
    container: id,
    source: 'host1',
    target: 'host2',
    options: {},
    requestedAt: Date.now(),
  };
  await submitMigration(fleet.redis, MigrationRequest.parse(wish), fleet.world.keys);
  await until(() => fleet.begun.includes(id));
};

describe('a fleet', { timeout: 90_000 }, () => {
  it('brings a migration to its end whose state and report are torn, and the others beside it', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { torn: 1, whole: 1 }, gate: () => gate.promise },
      host2: {},
    });
    for (const id of ['torn', 'whole']) await ask(fleet, id);
    await fleet.coordinator().kill();
    await fleet.redis.hset(keys.saga('torn'), { state: '{"v":1,"stage":"sync', report: '{"v":1,' });
    expect((await fleet.cmt('status', 'torn')).stderr).toContain('error MIGRATION_UNREADABLE: ');
    await fleet.startCoordinator();
    gate.keep();
    for (const id of ['torn', 'whole']) await until(async () => (await fleet.stateOf(id)) === 'done');
    expect(fleet.hosts.get('host2')?.containers()).toEqual(['torn', 'whole']);
    expect(fleet.hosts.get('host1')?.containers()).toEqual([]);
  });

  it('is drained to the hosts whose announcements can be read, and doctor names the other', async (context) => {
    const fleet = await startStandInFleet(context, { host1: { containers: { a: 1 } }, host2: {} });
    await fleet.redis.zadd(keys.hosts, Date.now() + 60_000, 'host0');
    await fleet.redis.set(keys.host('host0'), '{"v":1,"facts":{"name":"ho');
    expect((await fleet.cmt('drain', 'host1', '--wait')).code).toBe(0);
    expect(fleet.hosts.get('host2')?.containers()).toEqual(['a']);
    const refused = await fleet.json('migrate', 'a', '--src', 'host2', '--dst', 'host0');
    expect(refused).toMatchObject({ code: 3, error: { code: 'HOST_UNREADABLE', host: 'host0' } });
    expect((await fleet.cmt('doctor', 'host0')).stdout).toMatch(/host0 .*cannot be read here/);
    expect((await fleet.cmt('hosts', 'rm', 'host0', '--gone')).code).toBe(0);
    expect(await fleet.redis.exists(keys.host('host0'))).toBe(0);
  });
});

/** Hosts that are emptied and filled again: the real coordinator, queue and CLI; hosts that only say what real ones would. */
import type { DrainReport } from '@cmt/contracts';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCmt } from '../support/cmt.ts';
import { until } from '../support/queue-faults.ts';
import { promised } from '../support/queue-world.ts';
import { startStandInFleet, type StandInFleet } from '../support/stand-in-fleet.ts';

const LIMIT = { timeout: 90_000 };

beforeAll(() => buildCmt(), 150_000);

interface Answer {
  readonly code: number | null;
  readonly drain: DrainReport;
}

const ordered = async (fleet: StandInFleet, ...args: string[]): Promise<Answer> =>
  (await fleet.json(...args)) as unknown as Answer;

const drains = async (fleet: StandInFleet): Promise<DrainReport[]> =>
  ((await fleet.json('drain')) as unknown as { drains: DrainReport[] }).drains;

/** Container to the code of why it stays, or to how it stands. */
const ends = ({ moves }: DrainReport): Record<string, string> =>
  Object.fromEntries(moves.map(({ container, state, failure }) => [container, failure?.code ?? state]));

describe('a drain', LIMIT, () => {
  it('is begun by a schedule, in the coordinator’s own name, and can be waited for', async (context) => {
    const fleet = await startStandInFleet(context, { host1: { containers: { a: 5, b: 4 } }, host2: {} });
    const words = ['--', 'drain', 'host1', '--parallel', '2'];
    const add = (name: string) => fleet.cmt('schedule', 'add', '@yearly', '--name', name, ...words);
    const long = await add('a-name-of-24-characters-x');
    expect([long.code, long.stderr]).toEqual([2, expect.stringContaining('at most 23 characters')]);
    expect((await add('patch')).code).toBe(0);
    const { code, drain } = await ordered(fleet, 'schedule', 'run', 'patch', '--wait');
    expect([code, drain.state]).toEqual([0, 'done']);
    expect(drain.id).toMatch(/^patch-\d{8}t\d{6}z$/);
    expect(fleet.hosts.get('host2')?.containers()).toEqual(['a', 'b']);
    expect(await fleet.json('hosts')).toMatchObject({ hosts: [{ drained: true }, { drained: false }] });
    const { stdout } = await fleet.cmt('schedule', 'ls');
    expect(stdout).toMatch(/patch +@yearly .*started .* patch-\d{8}t\d{6}z .*drain host1 --parallel 2/);
  });

  it('outlives its coordinator, moves the largest first, two at a time, and says why one could not leave', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { a: 5e9, b: 4e9, c: 3e9, d: 2e9, huge: 90e9 }, gate: () => gate.promise },
      host2: {},
      host3: { containers: { x: 1 } },
    });
    const { drain } = await ordered(fleet, 'drain', 'host1', '--parallel', '2');
    expect(drain).toMatchObject({ host: 'host1', state: 'queued' });
    await until(() => fleet.begun.length === 2);
    // No host has room for `huge`: it was the first, and has been refused by now.
    expect((await drains(fleet))[0]?.moves.filter(({ state }) => state === 'moving')).toMatchObject([
      { container: 'a' },
      { container: 'b' },
    ]);
    expect(await fleet.json('migrate', 'x', '--src', 'host3', '--dst', 'host1')).toMatchObject({
      ...{ code: 3, error: { code: 'HOST_DRAINED', host: 'host1' } },
    });
    await fleet.coordinator().kill();
    gate.keep();
    await fleet.startCoordinator();
    const ended = await ordered(fleet, 'drain', 'host1', '--wait');
    expect(ended.drain.id).toBe(drain.id);
    expect(ends(ended.drain)).toEqual({ a: 'left', b: 'left', c: 'left', d: 'left', huge: 'NO_TARGET' });
    expect([ended.code, ended.drain.state, fleet.most.out.get('host1')]).toEqual([4, 'incomplete', 2]);
    expect(fleet.hosts.get('host1')?.containers()).toEqual(['huge']);
    const { stdout } = await fleet.cmt('drain');
    expect(stdout).toMatch(/host1: drained, but only 4 of 5 left/);
    expect(stdout).toMatch(
      /huge .* NO_TARGET: No host can take huge from host1: host2: [\d.]+ GiB of memory short/,
    );
    expect(await fleet.json('hosts')).toMatchObject({ hosts: [{ drained: true }, { drained: false }, {}] });
  });

  it('is ended by undrain, which opens the host and brings back what left', async (context) => {
    const gates = { a: promised(), b: promised() };
    const fleet = await startStandInFleet(context, {
      host1: { containers: { a: 5000, b: 4000 }, gate: (id) => gates[id as 'a' | 'b'].promise },
      host2: {},
    });
    await ordered(fleet, 'drain', 'host1', '--parallel', '1');
    await until(() => fleet.begun.length === 1);
    const back = fleet.json('undrain', 'host1', '--bring-back', '--wait');
    await until(
      async () =>
        (await drains(fleet))[0]?.moves.some(({ failure }) => failure?.code === 'DRAIN_STOPPED') === true,
    );
    gates.a.keep();
    const { code, drain } = (await back) as unknown as Answer;
    expect([code, drain.kind, ends(drain)]).toEqual([0, 'bring-back', { a: 'left' }]);
    expect(fleet.hosts.get('host1')?.containers()).toEqual(['a', 'b']);
    expect(await fleet.json('undrain', 'host1')).toMatchObject({ code: 3, error: { code: 'NOT_DRAINED' } });
    expect(await fleet.json('drain', 'host9')).toMatchObject({ code: 3, error: { code: 'HOST_UNKNOWN' } });
  });

  it('that nobody has signed moves nothing', async (context) => {
    const fleet = await startStandInFleet(context, { host1: { containers: { a: 5000 } }, host2: {} });
    // Somebody who can write to Redis, with a key of his own.
    const stranger = ['--state-dir', `${fleet.world.redis.dir}/stranger`];
    expect(await fleet.json('drain', 'host1', '--wait', ...stranger)).toMatchObject({
      ...{ code: 3, error: { code: 'REQUEST_FORGED' }, drain: { state: 'refused', moves: [] } },
    });
    expect(await fleet.json('hosts')).toMatchObject({ hosts: [{ drained: false }, {}] });
    expect(fleet.begun).toEqual([]);
  });
});

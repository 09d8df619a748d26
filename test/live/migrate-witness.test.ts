/** The watchers of the live tests and the demo are worth their word: they see what is wrong when it is. */
import { labDown, labExec, labUp, type Lab } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { removeContainer, startContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startCountingClient, startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { redisAddress, redisContainer } from '../../apps/lab/src/demo/redis-container.ts';
import { differences, holdingsOf } from '../support/leftovers.ts';
import { moveByHand } from '../support/by-hand.ts';
import { isUnbroken, readTicks, strayTicks } from '../support/ticks.ts';
import { ask, startWorkload, type Workload } from '../support/workloads.ts';

const name = `twitness${process.pid}`;
const counter: Workload = { id: 'counter', program: 'counter', net: { kind: 'none' } };
let lab: Lab;

beforeAll(async () => {
  lab = await labUp({ name });
}, 300_000);
afterAll(() => labDown({ name }));
afterEach(async () => {
  for (const host of ['host1', 'host2'])
    for (const id of ['counter', 'redis']) await removeContainer(lab, host, id);
});

const inHost1 = (script: string): Promise<unknown> => labExec(lab, 'host1', ['sh', '-c', script]);

/** Asks the witness until it has seen a copy in this state. */
async function untilSeen(witness: Observer<CopiesReport>, host: string, state: string): Promise<void> {
  for (;;) {
    const { intervals } = await witness.report();
    if (intervals.findLast((interval) => interval.host === host)?.state === state) return;
  }
}

describe('the witness', () => {
  test('sees two copies that run at once, and that there was none before', async () => {
    const witness = await startWitness(lab, counter.id);
    expect((await witness.report()).copies).toEqual({ maxRunningAtOnce: 0, minRunnable: 0 });
    await startWorkload(lab, 'host1', counter);
    await untilSeen(witness, 'host1', 'running');
    expect((await witness.report()).copies).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
    await startWorkload(lab, 'host2', counter);
    await untilSeen(witness, 'host2', 'running');
    expect((await witness.end()).copies).toEqual({ maxRunningAtOnce: 2, minRunnable: 1 });
  });

  test('sees the freeze, and that nothing is left', async () => {
    await startWorkload(lab, 'host1', counter);
    const witness = await startWitness(lab, counter.id);
    await inHost1('runc pause counter');
    await untilSeen(witness, 'host1', 'frozen');
    await inHost1('runc resume counter');
    await untilSeen(witness, 'host1', 'running');
    await removeContainer(lab, 'host1', counter.id);
    await untilSeen(witness, 'host1', 'absent');
    const { copies, intervals } = await witness.end();
    expect(copies).toEqual({ maxRunningAtOnce: 1, minRunnable: 0 });
    expect(intervals.filter(({ host }) => host === 'host1').map(({ state }) => state)).toEqual([
      'running',
      'frozen',
      'running',
      'absent',
    ]);
  });

  test('takes a copy that CRIU dumps or holds for one that does not run', async () => {
    await startWorkload(lab, 'host1', counter);
    const witness = await startWitness(lab, counter.id);
    const whileHeld = async (): Promise<void> => {
      const before = await ask(lab, 'host2', counter.id, 'state', 300).catch(() => 'no answer');
      expect(before).toBe('no answer');
    };
    await moveByHand(lab, { id: counter.id, from: 'host1', to: 'host2', bridge: false, whileHeld });
    await untilSeen(witness, 'host1', 'absent');
    const { copies, intervals } = await witness.end();
    expect(copies).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
    const target = intervals.filter(({ host }) => host === 'host2').map(({ state }) => state);
    expect(target).toEqual(['absent', 'held', 'running']);
    const [source, moved] = [
      await readTicks(lab, 'host1', counter.id),
      await readTicks(lab, 'host2', counter.id),
    ];
    expect(strayTicks(source, moved)).toEqual([]);
    expect(isUnbroken(moved)).toBe(true);
  });
});

test('ticks tell a copy that ran on behind the other’s back', async () => {
  await startWorkload(lab, 'host1', counter);
  await moveByHand(lab, { id: counter.id, from: 'host1', to: 'host2', bridge: false });
  await startWorkload(lab, 'host1', counter);
  const strays = async (): Promise<number> => {
    const [source, moved] = [
      await readTicks(lab, 'host1', counter.id),
      await readTicks(lab, 'host2', counter.id),
    ];
    return strayTicks(source, moved).length;
  };
  // A workload answers before its first tick.
  await expect.poll(strays, { timeout: 20_000 }).toBeGreaterThan(0);
});

describe('the counting client', () => {
  test('notices a Redis that forgets, and one that goes away', async () => {
    await startContainer(lab, 'host1', redisContainer(lab));
    const client = await startCountingClient(lab, { address: redisAddress(lab), port: 6379, key: 'n' });
    expect(await client.report()).toMatchObject({ connectionsLost: 0, wrongValues: 0 });
    await labExec(lab, 'host1', ['redis-cli', '-h', redisAddress(lab), 'DEL', 'n']);
    const then = (await client.report()).operations;
    while ((await client.report()).operations < then + 100);
    expect(await client.report()).toMatchObject({ connectionsLost: 0, wrongValues: 1 });
    await removeContainer(lab, 'host1', 'redis');
    expect(await client.end()).toMatchObject({ connectionsLost: 1 });
  });
});

test('the look for leftovers finds what is left, and nothing else', async () => {
  const before = await holdingsOf(lab, 'host1');
  expect(differences('host1', before, await holdingsOf(lab, 'host1'))).toEqual([]);
  await inHost1(
    `nft add table inet forgotten; ip link add forgotten type bridge; ip netns add forgotten; mkdir -p /run/cmt/images/m/1
     mount -t tmpfs none /mnt; mkdir /sys/fs/cgroup/forgotten; nohup sleep 1000 >/dev/null 2>&1 &
     nohup nc -lU /run/forgotten.sock >/dev/null 2>&1 & sleep 0.1`,
  );
  const found = differences('host1', before, await holdingsOf(lab, 'host1'));
  const kinds = found.map(({ of }) => of);
  expect(kinds).toEqual(
    expect.arrayContaining([
      'firewall',
      'links',
      'netns',
      'mounts',
      'cgroups',
      'images',
      'listeners',
      'processes',
    ]),
  );
  expect(found.flatMap(({ gone }) => gone)).toEqual([]);
});

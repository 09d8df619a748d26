/** What must hold after every migration, whatever became of it. */
import { labDown, labExec, type Lab } from '@cmt/lab';
import { expect } from 'vitest';
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import type { Fleet } from './fleet.ts';
import { leftAfterMoves, leftOnHosts, settled, type Before } from './left-behind.ts';
import { pendingInRedis } from './queue-leftovers.ts';
import { isUnbroken, readTicks, strayTicks } from './ticks.ts';

export { lookAtHosts, type Before } from './left-behind.ts';

/** Never two copies that ran, never none that could have, as seen from outside. */
export async function expectOneCopy(witness: Observer<CopiesReport>): Promise<void> {
  const { copies, intervals } = await witness.end();
  expect(copies, JSON.stringify(intervals)).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
}

/** The ticks of a container on both hosts are one history without a break, which goes on now on `runsOn`. */
export async function expectOneHistory(lab: Lab, id: string, runsOn: string): Promise<void> {
  const other = lab.hosts.find(({ name }) => name !== runsOn)?.name ?? '';
  const [elsewhere, here] = [await readTicks(lab, other, id), await readTicks(lab, runsOn, id)];
  expect(here.length).toBeGreaterThan(elsewhere.length);
  expect(strayTicks(elsewhere, here)).toEqual([]);
  expect(isUnbroken(here)).toBe(true);
}

/** Each host is as it was: for migrations that left the container where it was. */
export async function expectNothingBehind(lab: Lab, before: Before): Promise<void> {
  expect(await leftOnHosts(lab, before)).toEqual([]);
}

/** All hosts together are as they were: what the container has on its host has moved, nothing has come or gone. */
export async function expectOnlyMoved(lab: Lab, before: Before): Promise<void> {
  expect(await leftAfterMoves(lab, before)).toEqual([]);
}

/**
 * Takes the containers away and stops the fleet: of all that a file has done with it nothing may be left, neither on a host
 * nor in Redis.
 * @param before the hosts as they were before its first container
 */
export async function stopLeavingNothing(fleet: Fleet, before: Before): Promise<void> {
  const { lab, redis } = fleet;
  const hosts = lab.hosts.map(({ name }) => name);
  try {
    for (const host of hosts)
      for (const id of await containersOf(lab, host)) await removeContainer(lab, host, id);
    expect(await settled(() => pendingInRedis(redis, hosts))).toEqual([]);
    await expectNothingBehind(lab, before);
  } finally {
    await fleet.stop();
  }
}

/**
 * Ends what a file has started in a lab without a fleet, and takes that down: nothing may be left on a host.
 * @param end resolves when it has ended, and what is the test's own is gone
 */
export async function downLeavingNothing(
  { name, lab, before }: { readonly name: string; readonly lab: Lab; readonly before: Before },
  end: () => Promise<unknown>,
): Promise<void> {
  try {
    await end();
    await expectNothingBehind(lab, before);
  } finally {
    await labDown({ name });
  }
}

async function containersOf(lab: Lab, host: string): Promise<string[]> {
  const { stdout } = await labExec(lab, host, ['runc', 'list', '-q'], { timeoutMs: 20_000 });
  return stdout.split('\n').filter(Boolean);
}

/** What must hold after every migration, whatever became of it. */
import type { Lab } from '@cmt/lab';
import { expect } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { leftAfterMoves, leftOnHosts, type Before } from './left-behind.ts';
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

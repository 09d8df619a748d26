/** What must hold after every migration, whatever became of it. */
import type { Lab } from '@cmt/lab';
import { expect } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { differences, holdingsOf, isUsual, together, type Difference, type Holdings } from './leftovers.ts';
import { isUnbroken, readTicks, strayTicks } from './ticks.ts';

/** Both hosts as they were. */
export type Before = ReadonlyMap<string, Holdings>;

/** How long what a migration made may take to go away once it has ended, e.g. a connection's sshd. */
const SETTLE_MS = 10_000;

export async function lookAtHosts(lab: Lab): Promise<Before> {
  const looks = await Promise.all(
    lab.hosts.map(async ({ name }) => [name, await holdingsOf(lab, name)] as const),
  );
  return new Map(looks);
}

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
  await settled(async () => {
    const now = await lookAtHosts(lab);
    return [...now].flatMap(([host, holdings]) =>
      differences(host, before.get(host) ?? new Map(), holdings, isUsual),
    );
  });
}

/** All hosts together are as they were: what the container has on its host has moved, nothing has come or gone. */
export async function expectOnlyMoved(lab: Lab, before: Before): Promise<void> {
  await settled(async () =>
    differences(
      'all hosts',
      together([...before.values()]),
      together([...(await lookAtHosts(lab)).values()]),
      isUsual,
    ),
  );
}

async function settled(look: () => Promise<Difference[]>): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  let left = await look();
  while (left.length > 0 && Date.now() < deadline) left = await look();
  expect(left).toEqual([]);
}

/**
 * The coordinator, and the workers, killed with SIGKILL at every row of the plan and started again: the migration ends,
 * finished or rolled back, without help, and the container and its connections never notice more than a pause.
 *
 * One container wanders between the hosts through all of it; wherever it is, it is moved to the other.
 */
import { plan, type Row } from '@cmt/saga';
import type { MigrationEvent } from '@cmt/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { expectOneHistory, expectOnlyMoved, lookAtHosts, type Before } from '../support/expectations.ts';
import { crash, migrateAnd, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { conversationGoesOn, startPeer, type Peer } from '../support/peer.ts';
import { startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 180_000 };
const id = 'wanderer';
const HOOKS = ['pre-freeze', 'pre-restore', 'post-restore'].flatMap((name) => [
  `--hook-${name}`,
  '/bin/true',
]);
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;
let here = 'host1';

/** Rows that are passed by here; without dirty tracking in the kernel there is no pre-dump. */
const rows = plan.filter(({ name }) => name !== 'pre-dump');
const steps = rows.filter(({ kind }) => kind === 'step');
const aroundHooks = rows.filter(
  ({ name, kind }) => kind === 'hook' || name === 'restore-and-hold' || name === 'release',
);

beforeAll(async () => {
  fleet = await startFleet('crash');
  const { lab } = fleet;
  const address = `10.77.${lab.index}.101`;
  peer = await startPeer(lab, address);
  const { args } = peer;
  await startWorkload(lab, here, { id, program: 'network', net: { kind: 'bridge', address }, args });
  await conversationGoesOn(peer);
  before = await lookAtHosts(lab);
  witness = await startWitness(lab, id);
}, 300_000);
afterAll(async () => {
  peer.kill();
  witness.kill();
  await fleet.stop();
}, 60_000);

const reaches =
  ({ name, kind }: Row) =>
  (event: MigrationEvent): boolean =>
    event.step === name && event.kind === (kind === 'hook' ? 'hook' : 'step-started');

/** Moves it, kills somebody as soon as a row begins, and checks everything that must hold afterwards. */
async function crashAt(
  row: Row,
  who: 'coordinator' | 'source' | 'target',
  flags: readonly string[],
): Promise<void> {
  const [from, to] = here === 'host1' ? (['host1', 'host2'] as const) : (['host2', 'host1'] as const);
  const victim = who === 'coordinator' ? who : { worker: who === 'source' ? from : to };
  const move = { id: newId(), container: id, from, to, flags };
  const report = await migrateAnd(fleet, move, reaches(row), () => crash(fleet, victim));
  expect(['done', 'rolled-back'], JSON.stringify(report)).toContain(report.state);
  if (report.state === 'done') here = to;
  await conversationGoesOn(peer);
  const said = await peer.report();
  expect(said).toMatchObject({ connectionsLost: 0, called: { wrong: 0 }, served: { connections: 1 } });
  const { copies, intervals } = await witness.report();
  expect(copies, JSON.stringify(intervals)).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
  await expectOneHistory(fleet.lab, id, here);
  await expectOnlyMoved(fleet.lab, before);
}

describe('SIGKILL to the coordinator', () => {
  test.each(steps.map((row) => [row.name, row] as const))('at %s', LIMIT, (_, row) =>
    crashAt(row, 'coordinator', []),
  );
  // With a pre-restore hook the coordinator itself stands between the two halves of the switch.
  test.each(aroundHooks.map((row) => [row.name, row] as const))('at %s, with hooks', LIMIT, (_, row) =>
    crashAt(row, 'coordinator', HOOKS),
  );
});

describe.each(['source', 'target'] as const)('SIGKILL to the worker of the %s', (side) => {
  const its = steps.filter((row) => row.side === side || row.side === 'both');
  test.each(its.map((row) => [row.name, row] as const))('at %s', LIMIT, (_, row) => crashAt(row, side, []));
});

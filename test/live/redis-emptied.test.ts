/**
 * Redis emptied in the middle of a migration, or damaged: what it had forgotten is taken up again from the journals of the two hosts, and
 * ends, finished or rolled back, without help. The container and its connection never notice more than a pause.
 *
 * One container wanders between the hosts through all of it.
 */
import { follow, hosts } from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { expectOneHistory, expectOnlyMoved, type Before } from '../support/expectations.ts';
import {
  atStartOf,
  emptyRedis,
  killWorker,
  migrate,
  migrateAnd,
  newId,
  startFleet,
  tearSaga,
  type Fleet,
  type Move,
} from '../support/fleet.ts';
import { conversationGoesOn, type Peer } from '../support/peer.ts';
import { startWatched } from '../support/watched.ts';

const LIMIT = { timeout: 180_000 };
const id = 'wanderer';
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;
let here = 'host1';

beforeAll(async () => {
  fleet = await startFleet('empty');
  ({ peer, before, witness } = await startWatched(fleet.lab, { id, host: here }));
}, 300_000);
afterAll(async () => {
  peer.kill();
  witness.kill();
  await fleet.stop();
}, 60_000);

const aMove = (flags: readonly string[] = []): Move => {
  const [from, to] = here === 'host1' ? (['host1', 'host2'] as const) : (['host2', 'host1'] as const);
  return { id: newId(), container: id, from, to, flags };
};

/** What must hold after every one of them. */
async function expectAllWell(move: Move, report: { readonly state: string }): Promise<void> {
  expect(['done', 'rolled-back'], JSON.stringify(report)).toContain(report.state);
  if (report.state === 'done') here = move.to;
  await conversationGoesOn(peer);
  const said = await peer.report();
  expect(said).toMatchObject({ connectionsLost: 0, called: { wrong: 0 }, served: { connections: 1 } });
  const { copies, intervals } = await witness.report();
  expect(copies, JSON.stringify(intervals)).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
  await expectOneHistory(fleet.lab, id, here);
  await expectOnlyMoved(fleet.lab, before);
}

const onceBothAreThere = async (): Promise<void> => {
  await expect.poll(async () => (await hosts(fleet.redis)).length, { timeout: 20_000 }).toBe(2);
};

describe('Redis emptied by FLUSHALL', () => {
  test.each([
    ['prepare', ['rolled-back']],
    // Both hosts may finish the switch among themselves.
    ['freeze-and-dump', ['rolled-back', 'done']],
    ['restore-and-hold', ['rolled-back', 'done']],
    ['confirm', ['done']],
    ['retire', ['done']],
    ['clean', ['done']],
  ] as const)('at %s: it ends as one of %j', LIMIT, async (row, states) => {
    await onceBothAreThere();
    const move = aMove(['--confirm-for', '2s']);
    const report = await migrateAnd(fleet, move, atStartOf(row), () => emptyRedis(fleet, 'FLUSHALL'));
    expect(states).toContain(report.state);
    expect(report.rebuilt).toContain('journals');
    await expectAllWell(move, report);
  });
});

describe('what Redis holds of it damaged, and its coordinator killed', () => {
  test.each([
    ['freeze-and-dump', ['rolled-back', 'done']],
    ['restore-and-hold', ['rolled-back', 'done']],
    ['confirm', ['done']],
    ['retire', ['done']],
  ] as const)('at %s: it ends as one of %j', LIMIT, async (row, states) => {
    await onceBothAreThere();
    const move = aMove(['--confirm-for', '2s']);
    const report = await migrateAnd(fleet, move, atStartOf(row), () => tearSaga(fleet, move.id));
    expect(states).toContain(report.state);
    expect(report.rebuilt).toMatch(/damaged.*journals/);
    if (report.state === 'rolled-back') expect(report.failure).toMatchObject({ code: 'STATE_DAMAGED' });
    await expectAllWell(move, report);
  });
});

describe('Redis killed, and started again with nothing', () => {
  test.each(['freeze-and-dump', 'retire'])('at %s', LIMIT, async (row) => {
    await onceBothAreThere();
    const move = aMove();
    const report = await migrateAnd(fleet, move, atStartOf(row), () => emptyRedis(fleet, 'its data removed'));
    await expectAllWell(move, report);
  });

  test('while the target’s worker is dead, too', LIMIT, async () => {
    await onceBothAreThere();
    const move = aMove();
    const report = await migrateAnd(fleet, move, atStartOf('restore-and-hold'), async () => {
      await killWorker(fleet.lab, move.to);
      // Starts the worker again as well.
      await emptyRedis(fleet, 'its data removed');
    });
    await expectAllWell(move, report);
  });
});

test('`cmt migrate` goes on waiting, and tells the end as it is', LIMIT, async () => {
  await onceBothAreThere();
  const move = aMove();
  const answer = migrate(fleet, move);
  const emptied = (async () => {
    for await (const event of follow(fleet.redis, move.id, true, AbortSignal.timeout(60_000)))
      if (atStartOf('sync-files')(event)) {
        await emptyRedis(fleet, 'FLUSHALL');
        return;
      }
  })();
  const [{ migration, code }] = await Promise.all([answer, emptied]);
  expect(migration).toMatchObject({ state: 'rolled-back', failure: { code: 'REDIS_FORGOT' } });
  expect(code).toBe(4);
  const status = await fleet.cmt(['status', move.id], 20_000);
  expect(status.migration?.rebuilt).toContain('hooks');
  await expectAllWell(move, migration);
});

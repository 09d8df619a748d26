/**
 * How soon things go on, measured on real hosts; the figures are printed. What only the queue decides is measured in
 * test/integration/recovery-targets.test.ts.
 */
import type { MigrationEvent } from '@cmt/contracts';
import { follow } from '@cmt/queue';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { shadow } from '../support/broken-tools.ts';
import { lookAtHosts, stopLeavingNothing, type Before } from '../support/expectations.ts';
import {
  atStartOf,
  crash,
  migrateAnd,
  newId,
  reportOf,
  startFleet,
  type Fleet,
  type Move,
} from '../support/fleet.ts';
import { startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 150_000 };
/** Milliseconds, as promised. */
const CRASH_MS = 15_000;
const RESUME_MS = 5_000;
const id = 'measured';
let fleet: Fleet;
let witness: Observer<CopiesReport>;
let before: Before;

beforeAll(async () => {
  fleet = await startFleet('targets');
  before = await lookAtHosts(fleet.lab);
  await startWorkload(fleet.lab, 'host1', { id, program: 'counter', net: { kind: 'none' } });
  witness = await startWitness(fleet.lab, id);
}, 300_000);
afterAll(async () => {
  witness.kill();
  await stopLeavingNothing(fleet, before);
}, 120_000);

const print = (what: string, seenMs: number, promisedMs: number): void =>
  void process.stdout.write(
    `recovery: ${what}: ${(seenMs / 1000).toFixed(2)} s (target ${promisedMs / 1000} s)\n`,
  );

const aMove = (): Move => ({ id: newId(), container: id, from: 'host1', to: 'host2' });

/** Moves nothing: criu of the target fails at every restore. */
async function withBrokenRestore(migration: () => Promise<void>): Promise<void> {
  const mend = await shadow(fleet.lab, 'host2', 'criu', '[ "$1" != swrk ] || exit 1');
  try {
    await migration();
  } finally {
    await mend();
  }
}

async function eventsOf(migration: string): Promise<MigrationEvent[]> {
  const events: MigrationEvent[] = [];
  for await (const event of follow(fleet.redis, migration, true, AbortSignal.timeout(10_000)))
    events.push(event);
  return events;
}

describe('a failed restore', () => {
  test(`has the source running again within ${RESUME_MS / 1000} s of its being known`, LIMIT, () =>
    withBrokenRestore(async () => {
      const move = aMove();
      const report = await migrateAnd(fleet, move, atStartOf('freeze-and-dump'), () => Promise.resolve());
      expect(report.state).toBe('rolled-back');
      const known = (await eventsOf(move.id)).filter(
        ({ kind, step, text }) => kind === 'step-ended' && step === 'restore-and-hold' && text !== 'done',
      );
      const { intervals } = await witness.report();
      const runs = intervals.filter(({ host, state }) => host === 'host1' && state === 'running');
      const took = known.map(({ at }) => (runs.find(({ from }) => from >= at)?.from ?? Infinity) - at);
      expect(took.length).toBeGreaterThan(0);
      for (const ms of took) print('the source runs after a failed restore', ms, RESUME_MS);
      expect(Math.max(...took)).toBeLessThan(RESUME_MS);
    }),
  );
});

describe(`work goes on within ${CRASH_MS / 1000} s`, () => {
  test.each([
    ['the coordinator', 'coordinator' as const],
    ['the worker of the source', { worker: 'host1' }],
  ])('of a SIGKILL to %s', LIMIT, (who, victim) =>
    // The container stays where it is, so that both have the same hosts.
    withBrokenRestore(async () => {
      const move = aMove();
      let killedAt = Infinity;
      await migrateAnd(fleet, move, atStartOf('freeze-and-dump'), async () => {
        killedAt = Date.now();
        await crash(fleet, victim);
      });
      expect((await reportOf(fleet, move.id)).state).toBe('rolled-back');
      const next = (await eventsOf(move.id)).find(
        ({ kind, at, host }) =>
          kind === 'step-started' && at > killedAt + 50 && (victim === 'coordinator' || host === 'host1'),
      );
      const tookMs = (next?.at ?? Infinity) - killedAt;
      print(`the next step after a SIGKILL to ${who}`, tookMs, CRASH_MS);
      expect(tookMs).toBeLessThan(CRASH_MS);
    }),
  );
});

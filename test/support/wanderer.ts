/**
 * One container that wanders between two hosts through all tests of a file, watched from inside and outside; wherever it is, it
 * is moved to the other, and somebody is killed meanwhile.
 */
import type { Row } from '@cmt/saga';
import type { MigrationEvent } from '@cmt/contracts';
import { afterAll, beforeAll, expect } from 'vitest';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { expectOneHistory, expectOnlyMoved, type Before } from './expectations.ts';
import { crash, migrateAnd, newId, startFleet, type Fleet } from './fleet.ts';
import { conversationGoesOn, type Peer } from './peer.ts';
import { startWatched } from './watched.ts';

const id = 'wanderer';

/** Moves it, kills somebody as soon as a row begins, and checks everything that must hold afterwards. */
export type CrashAt = (
  row: Row,
  who: 'coordinator' | 'source' | 'target',
  flags?: readonly string[],
) => Promise<void>;

/** @param what names the lab of this file */
export function useWanderer(what: string): CrashAt {
  let fleet: Fleet;
  let peer: Peer;
  let witness: Observer<CopiesReport>;
  let before: Before;
  let here = 'host1';

  beforeAll(async () => {
    fleet = await startFleet(what);
    ({ peer, before, witness } = await startWatched(fleet.lab, { id, host: here }));
  }, 300_000);
  afterAll(async () => {
    peer.kill();
    witness.kill();
    await fleet.stop();
  }, 60_000);

  return async (row, who, flags = []) => {
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
  };
}

const reaches =
  ({ name, kind }: Row) =>
  (event: MigrationEvent): boolean =>
    event.step === name && event.kind === (kind === 'hook' ? 'hook' : 'step-started');

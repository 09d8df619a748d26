/**
 * A fleet of three real hosts: `--dst auto` chooses and refuses for the right reasons, and a host is emptied, two containers at a time,
 * under the eyes of a client of one of them.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { keys, type DrainReport } from '@cmt/contracts';
import { labExec } from '@cmt/lab';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleOf } from '../../apps/lab/src/demo/container.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { bytesSent } from '../support/broken-tools.ts';
import {
  expectOneCopy,
  expectOneHistory,
  lookAtHosts,
  stopLeavingNothing,
  type Before,
} from '../support/expectations.ts';
import { answerOf, migrate, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { conversationGoesOn, startPeer, type Peer } from '../support/peer.ts';
import { ask, startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 240_000 };
const FIVE = ['talks', 'a', 'b', 'c', 'stuck'];
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;

beforeAll(async () => {
  fleet = await startFleet('fleet', 3);
  const { lab } = fleet;
  before = await lookAtHosts(lab);
  const address = `10.77.${lab.index}.101`;
  peer = await startPeer(lab, address);
  const net = { kind: 'bridge', address } as const;
  await startWorkload(lab, 'host1', { id: 'talks', program: 'network', net, args: [...peer.args, '64'] });
  for (const id of FIVE.slice(1))
    await startWorkload(lab, 'host1', { id, program: 'counter', net: { kind: 'none' } });
  // Something else lies where its bundle would go: no registry knows that, only validation does.
  const occupy = `mkdir -p ${bundleOf('stuck')} && touch ${bundleOf('stuck')}/mine`;
  for (const host of ['host2', 'host3']) await labExec(lab, host, ['sh', '-c', occupy]);
  await conversationGoesOn(peer);
  witness = await startWitness(lab, 'talks');
}, 300_000);
afterAll(async () => {
  peer.kill();
  witness.kill();
  await stopLeavingNothing(fleet, before);
}, 120_000);

describe('a fleet of three', LIMIT, () => {
  it('finds a target and says why, passes over one that refuses, and names all reasons where none fits', async () => {
    type Targets = { host: string; fits: boolean; reasons: { code: string }[] }[];
    // Hosts announce their containers every few seconds.
    const targets = await vi.waitFor(
      async () => {
        const { targets } = await answerOf<{ targets?: Targets }>(fleet, ['targets', 'a']);
        if (targets === undefined) throw new Error('nobody has announced it');
        return targets;
      },
      { timeout: 60_000, interval: 500 },
    );
    expect(targets.map(({ fits }) => fits)).toEqual([true, true, false]);
    expect(targets[2]).toMatchObject({ host: 'host1', reasons: [{ code: 'SOURCE' }] });
    const refused = await fleet.cmt(['migrate', 'stuck', '--src', 'host1', '--dst', 'auto'], 60_000);
    expect(refused).toMatchObject({ code: 3, error: { code: 'NO_TARGET' } });
    expect(refused.migration?.placement?.passedOver.map(({ failure }) => failure.details['codes'])).toEqual([
      ...['BUNDLE_EXISTS', 'BUNDLE_EXISTS'],
    ]);
    const unknown = await fleet.cmt(['migrate', 'a', '--src', 'host1', '--dst', 'zone=b'], 60_000);
    expect(unknown).toMatchObject({ code: 3, error: { code: 'LABEL_UNKNOWN' } });
  });

  it('empties a host, two at a time; a client notices a pause, and what cannot leave has its reason', async () => {
    const { code, drain } = await answerOf<{ code: number; drain: DrainReport }>(fleet, [
      ...['drain', 'host1', '--parallel', '2', '--wait'],
    ]);
    expect([code, drain.state]).toEqual([4, 'incomplete']);
    const ends = drain.moves.map(({ container, state, failure }) => [container, failure?.code ?? state]);
    expect(Object.fromEntries(ends)).toEqual({
      ...{ talks: 'left', a: 'left', b: 'left', c: 'left', stuck: 'NO_TARGET' },
    });
    for (const { container, to } of drain.moves.filter(({ state }) => state === 'left'))
      expect(await ask(fleet.lab, to ?? '', container, 'state')).toBeTruthy();
    await conversationGoesOn(peer);
    expect(await peer.report()).toMatchObject({ connectionsLost: 0, called: { wrong: 0 } });
    const there = drain.moves.find(({ container }) => container === 'talks')?.to ?? '';
    await expectOneCopy(witness);
    await expectOneHistory(fleet.lab, 'talks', there);
    const back = await fleet.cmt(['migrate', 'a', '--src', whereIs(drain, 'a'), '--dst', 'host1'], 60_000);
    expect(back).toMatchObject({ code: 3, error: { code: 'HOST_DRAINED' } });
  });

  it('gets back what left when the host is opened again', async () => {
    const { code, drain } = await answerOf<{ code: number; drain: DrainReport }>(fleet, [
      ...['undrain', 'host1', '--bring-back', '--wait'],
    ]);
    expect([code, drain.moves.map(({ state }) => state)]).toEqual([0, ['left', 'left', 'left', 'left']]);
    await conversationGoesOn(peer);
    expect(await peer.report()).toMatchObject({ connectionsLost: 0, called: { wrong: 0 } });
    for (const id of FIVE) expect(await ask(fleet.lab, 'host1', id, 'state')).toBeTruthy();
  });
});

describe('a link with a limit', LIMIT, () => {
  const MIB = 2 ** 20;
  const LIMIT_RATE = 16 * MIB;
  const BALLAST = 48 * MIB;
  const TWO = ['a', 'b'] as const;

  /** Milliseconds, and the bytes that have left host1 by then. */
  const look = async () => ({ bytes: await bytesSent(fleet.lab, 'host1'), at: performance.now() });

  it('is shared evenly by those who leave, carries no more in any second, and all of it goes to who is left', async () => {
    expect((await fleet.cmt(['limits', 'set', 'bandwidth=16MiB/s'], 30_000)).ok).toBe(true);
    for (const id of TWO)
      await labExec(fleet.lab, 'host1', [
        ...['sh', '-c', `head -c ${BALLAST} /dev/urandom > ${bundleOf(id)}/rootfs/data/ballast`],
      ]);
    const moving = Promise.all(
      TWO.map((id, at) => migrate(fleet, { id: newId(), container: id, from: 'host1', to: `host${at + 2}` })),
    );
    let over = false;
    void moving.finally(() => (over = true)).catch(() => undefined);
    const looks = [await look()];
    while (!over) {
      await pause(100);
      looks.push(await look());
    }
    const reports = (await moving).map(({ migration }) => migration);
    expect(reports.map(({ state, message }) => [state, message])).toEqual([
      ['done', null],
      ['done', null],
    ]);
    const rates = looks.flatMap((from) => {
      const to = looks.find(({ at }) => at - from.at >= 1000);
      return to === undefined ? [] : [((to.bytes - from.bytes) * 1000) / (to.at - from.at)];
    });
    // Headers of the wire come on top, and what the others still have in hand when somebody begins.
    expect(Math.max(...rates)).toBeLessThan(LIMIT_RATE * 1.2);
    expect((looks.at(-1)?.bytes ?? 0) - (looks[0]?.bytes ?? 0)).toBeGreaterThan(2 * BALLAST);
    for (const { id, steps } of reports) {
      const told = await toldOf(id);
      expect(told).toContain('its share of the links between its hosts is 8.4 MB/s');
      // Alone it could not have been quicker than that.
      expect(steps.find(({ name }) => name === 'sync-files')?.ms).toBeGreaterThan(
        (0.95 * 1000 * BALLAST) / LIMIT_RATE,
      );
    }
    const all = (await Promise.all(reports.map(({ id }) => toldOf(id)))).join('');
    expect(all).toContain('its share of the links between its hosts is 16.8 MB/s');
  });

  const toldOf = async (id: string): Promise<string> =>
    JSON.stringify(await fleet.redis.xrange(keys.events(id), '-', '+'));
});

const whereIs = ({ moves }: DrainReport, id: string): string =>
  moves.find(({ container }) => container === id)?.to ?? '';

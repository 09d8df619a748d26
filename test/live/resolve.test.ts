/** A hand-over that nobody could decide, ended by an operator's word; the fenced host comes back and clears up by itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cutFromGateway, labExec, restoreLink } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { onceRestoring, shadow } from '../support/broken-tools.ts';
import {
  expectNothingBehind,
  expectOneCopy,
  expectOneHistory,
  expectOnlyMoved,
  type Before,
} from '../support/expectations.ts';
import { atStartOf, migrateAnd, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { conversationGoesOn, type Peer } from '../support/peer.ts';
import { startWatched } from '../support/watched.ts';

const LIMIT = { timeout: 240_000 };
const id = 'stuck';
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;

beforeAll(async () => {
  fleet = await startFleet('resolve');
}, 300_000);
afterAll(() => fleet.stop(), 60_000);

beforeEach(async () => {
  ({ peer, before, witness } = await startWatched(fleet.lab, { id, host: 'host1' }));
}, 60_000);

afterEach(async () => {
  await restoreLink(fleet.lab, 'host2');
  peer.kill();
  witness.kill();
  for (const { name } of fleet.lab.hosts) await removeContainer(fleet.lab, name, id);
});

/** The target holds its copy and cannot reach Redis, which has been started anew: it may have lost the decision. */
async function comeToAStandstill(): Promise<string> {
  const { lab } = fleet;
  const move = { id: newId(), container: id, from: 'host1', to: 'host2' };
  const inHost2 = (...argv: string[]) => labExec(lab, 'host2', argv);
  await inHost2('touch', '/run/restores-wait');
  const mend = await shadow(
    lab,
    'host2',
    'criu',
    onceRestoring('while [ -e /run/restores-wait ]; do sleep 0.05; done'),
  );
  // Its worker has the leg by then, and needs no Redis until it has to vote.
  const report = await migrateAnd(fleet, move, atStartOf('restore-and-hold'), async () => {
    await cutFromGateway(lab, 'host2');
    await inHost2('rm', '/run/restores-wait');
    await until(async () => (await phaseOn('host2', move.id)) === 'HELD');
    await restartRedis();
  });
  await mend();
  expect([report.state, report.failure?.code]).toEqual(['needs-operator', 'UNDECIDED']);
  expect([await phaseOn('host1', move.id), await phaseOn('host2', move.id)]).toEqual(['FROZEN', 'HELD']);
  return move.id;
}

async function phaseOn(host: string, migration: string): Promise<string> {
  const { stdout } = await labExec(fleet.lab, host, [
    'jq',
    '-r',
    '.phase',
    `/var/lib/cmt/journal/${migration}.json`,
  ]);
  return stdout.trim();
}

async function restartRedis(): Promise<void> {
  const stat = await readFile(join(fleet.stateDir, 'redis/redis.pid'), 'utf8');
  process.kill(Number(stat.split(' ')[0]), 'SIGKILL');
  // Whoever finds the embedded Redis dead starts it again.
  await until(async () => (await fleet.cmt(['hosts'], 20_000)).ok);
}

async function until(isSo: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it never came to be so');
    await pause(50);
  }
}

const resolve = (migration: string, ...flags: string[]) =>
  fleet.cmt(['resolve', migration, ...flags], 120_000);

/** Nothing is open in the journal of a host any more. */
const isClosed = async (host: string, migration: string): Promise<boolean> => {
  const { stdout } = await labExec(fleet.lab, host, [
    'jq',
    '.closed',
    `/var/lib/cmt/journal/${migration}.json`,
  ]);
  return stdout.trim() === 'true';
};

describe('cmt resolve', () => {
  test(
    '--fenced target: the source runs on with its connections, and the target clears up when it is back',
    LIMIT,
    async () => {
      const migration = await comeToAStandstill();
      const unconfirmed = await resolve(migration, '--fenced', 'host2');
      expect([unconfirmed.code, unconfirmed.error?.code]).toEqual([3, 'FENCE_UNCONFIRMED']);
      const online = await resolve(migration, '--fenced', 'host1', '--confirm', 'host1');
      expect([online.code, online.error?.code]).toEqual([3, 'FENCED_ONLINE']);
      expect(await phaseOn('host1', migration)).toBe('FROZEN');

      const done = await resolve(migration, '--fenced', 'host2', '--confirm', 'host2');
      expect([done.code, done.migration?.state, done.migration?.fenced]).toEqual([
        4,
        'rolled-back',
        'target',
      ]);
      await conversationGoesOn(peer);
      expect(await phaseOn('host2', migration)).toBe('HELD');

      await restoreLink(fleet.lab, 'host2');
      await until(() => isClosed('host2', migration));
      await conversationGoesOn(peer);
      expect(await peer.report()).toMatchObject({ connectionsLost: 0, called: { wrong: 0 } });
      await expectOneCopy(witness);
      await expectOneHistory(fleet.lab, id, 'host1');
      await expectNothingBehind(fleet.lab, before);
      const again = await resolve(migration, '--fenced', 'host2', '--confirm', 'host2');
      expect([again.code, again.error?.code]).toEqual([3, 'NOT_STUCK']);
    },
  );

  test('--fenced source: the held copy runs, and the source throws its frozen one away', LIMIT, async () => {
    const migration = await comeToAStandstill();
    await cutFromGateway(fleet.lab, 'host1');
    await restoreLink(fleet.lab, 'host2');
    await until(async () => {
      const { error } = await resolve(migration, '--fenced', 'host1');
      return error?.code === 'FENCE_UNCONFIRMED' || error?.code === 'FENCED_ONLINE';
    });
    const word = ['--fenced', 'host1', '--confirm', 'host1', '--even-though-online'];
    const done = await resolve(migration, ...word);
    expect([done.code, done.migration?.state, done.migration?.fenced]).toEqual([0, 'done', 'source']);
    await conversationGoesOn(peer);
    expect(await phaseOn('host1', migration)).toBe('FROZEN');

    await restoreLink(fleet.lab, 'host1');
    await until(() => isClosed('host1', migration));
    await conversationGoesOn(peer);
    expect(await peer.report()).toMatchObject({ connectionsLost: 0, called: { wrong: 0 } });
    await expectOneCopy(witness);
    await expectOneHistory(fleet.lab, id, 'host2');
    await expectOnlyMoved(fleet.lab, before);
  });
});

/** Every kind of container is moved by the real `cmt migrate` and is afterwards what it was, to the last byte. */
import { labExec } from '@cmt/lab';
import { eventsOf } from '@cmt/queue';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { removeContainer, startContainer } from '../../apps/lab/src/demo/container.ts';
import { startCountingClient, startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { redisAddress, redisContainer, REDIS_PORT } from '../../apps/lab/src/demo/redis-container.ts';
import { expectOneCopy, expectOneHistory, expectOnlyMoved, lookAtHosts } from '../support/expectations.ts';
import { migrate, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { conversationGoesOn, startPeer } from '../support/peer.ts';
import { ask, startWorkload, type Workload } from '../support/workloads.ts';

const MIGRATE_MS = 120_000;
let fleet: Fleet;
const watching: Observer<unknown>[] = [];
const containers = new Set<string>();

beforeAll(async () => {
  fleet = await startFleet('work');
}, 300_000);
afterAll(() => fleet.stop(), 60_000);
afterEach(async () => {
  for (const observer of watching.splice(0)) observer.kill();
  for (const id of containers)
    for (const { name } of fleet.lab.hosts) await removeContainer(fleet.lab, name, id);
  containers.clear();
});

const watched = <T extends Observer<unknown>>(observer: T): T => {
  watching.push(observer);
  return observer;
};

async function begin(workload: Workload): Promise<void> {
  containers.add(workload.id);
  await startWorkload(fleet.lab, 'host1', workload);
}

/** Moves a running workload from host1 to host2 and checks all that must hold whatever it is. */
async function moveAndCheck(workload: Workload, flags: readonly string[] = [], id = newId()): Promise<void> {
  const { lab } = fleet;
  const before = await lookAtHosts(lab);
  const witness = watched(await startWitness(lab, workload.id));
  const move = { id, container: workload.id, from: 'host1', to: 'host2', flags };
  const { code, migration } = await migrate(fleet, move);
  expect([migration.state, migration.message, code]).toEqual(['done', null, 0]);
  await expectOneCopy(witness);
  await expectOnlyMoved(lab, before);
}

const asked = <T>(host: string, id: string, word = 'state'): Promise<T> => ask<T>(fleet.lab, host, id, word);

interface Counted {
  readonly memory: number;
  readonly file: number;
  readonly pid: number;
}

/** The container counts on from where it was, and its file with it. */
async function expectCounting(id: string, before: Counted): Promise<void> {
  const after = await asked<Counted>('host2', id);
  expect(after.memory).toBeGreaterThan(before.memory);
  expect(after.memory - after.file).toBeLessThanOrEqual(1);
  expect(after.pid).toBe(before.pid);
  await expectOneHistory(fleet.lab, id, 'host2');
}

describe('a container', () => {
  test.each([
    ['no network', { kind: 'none' }, 'few'],
    ['the host’s network', { kind: 'host' }, 'few'],
    ['the mounts of `runc spec`', { kind: 'none' }, 'usual'],
  ] as const)('that counts, with %s', { timeout: MIGRATE_MS }, async (_, net, mounts) => {
    const workload: Workload = { id: 'counter', program: 'counter', net, mounts };
    await begin(workload);
    const before = await asked<Counted>('host1', workload.id);
    await moveAndCheck(workload);
    await expectCounting(workload.id, before);
  });

  test('with a tree of processes, pipes, sessions and signals', { timeout: MIGRATE_MS }, async () => {
    const workload: Workload = { id: 'tree', program: 'tree', net: { kind: 'none' } };
    interface Tree {
      readonly laps: number;
      readonly wrong: number;
      readonly signalled: number;
      readonly signals: readonly number[];
      readonly sessions: readonly number[];
    }
    await begin(workload);
    const before = await asked<Tree>('host1', workload.id);
    await moveAndCheck(workload);
    const after = await asked<Tree>('host2', workload.id);
    expect(after).toMatchObject({
      wrong: 0,
      stopped: 'T',
      dead: 'Z',
      pending: 512,
      sessions: before.sessions,
    });
    expect(after.laps).toBeGreaterThan(before.laps);
    for (const count of after.signals) expect(after.signalled - count).toBeLessThanOrEqual(1);
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });

  test('with threads that take turns', { timeout: MIGRATE_MS }, async () => {
    const workload: Workload = { id: 'threads', program: 'threads', net: { kind: 'none' } };
    interface Threads {
      readonly counts: readonly number[];
      readonly turn: number;
      readonly ids: readonly number[];
    }
    await begin(workload);
    const before = await asked<Threads>('host1', workload.id);
    await moveAndCheck(workload);
    const after = await asked<Threads>('host2', workload.id);
    expect(after.ids).toEqual(before.ids);
    expect(Math.min(...after.counts)).toBeGreaterThan(Math.max(...before.counts));
    expect(after.counts.reduce((sum, count) => sum + count)).toBe(after.turn);
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });

  test('with 256 MiB of memory that is rewritten meanwhile', { timeout: MIGRATE_MS }, async () => {
    const workload: Workload = { id: 'memory', program: 'memory', net: { kind: 'none' } };
    await begin(workload);
    const before = await asked<{ rewritten: number }>('host1', workload.id);
    await moveAndCheck(workload);
    const after = await asked<{ rewritten: number }>('host2', workload.id, 'verify');
    expect(after).toMatchObject({ pages: 65536, bad: 0 });
    expect(after.rewritten).toBeGreaterThan(before.rewritten);
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });

  test('whose images find room on disk only', { timeout: MIGRATE_MS }, async () => {
    const workload: Workload = { id: 'memory', program: 'memory', net: { kind: 'none' } };
    await begin(workload);
    const resize = async (size: string): Promise<void> => {
      for (const { name } of fleet.lab.hosts)
        await labExec(fleet.lab, name, ['mount', '-o', `remount,size=${size}`, '/run']);
    };
    await resize('64m');
    const id = newId();
    await moveAndCheck(workload, [], id).finally(() => resize('50%'));
    const said = (await eventsOf(fleet.redis, id)).map((event) => JSON.stringify(event));
    for (const host of ['host1', 'host2'])
      expect(said).toContainEqual(
        expect.stringMatching(new RegExp(`images lie on disk .*/run/cmt/images on ${host} has room for`)),
      );
    expect(await asked('host2', workload.id, 'verify')).toMatchObject({ pages: 65536, bad: 0 });
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });

  test(
    'that writes, renames and deletes files before and during the move',
    { timeout: MIGRATE_MS },
    async () => {
      const workload: Workload = { id: 'files', program: 'files', net: { kind: 'none' } };
      await begin(workload);
      const before = await asked<{ acknowledged: number }>('host1', workload.id);
      await moveAndCheck(workload);
      const after = await asked<{ acknowledged: number }>('host2', workload.id, 'verify');
      expect(after.acknowledged).toBeGreaterThan(before.acknowledged);
      const right = { wrong: [], surplus: [], fixed: true, fixedByName: true, ghost: true, link: true };
      expect(after).toMatchObject({ ...right, journal: after.acknowledged });
      await expectOneHistory(fleet.lab, workload.id, 'host2');
    },
  );

  test('that writes through a shared mapping of a file', { timeout: MIGRATE_MS }, async () => {
    const workload: Workload = { id: 'mapped', program: 'mapped', net: { kind: 'none' } };
    interface Mapped {
      readonly memory: number;
      readonly mapped: number;
      readonly file: number;
    }
    await begin(workload);
    const before = await asked<Mapped>('host1', workload.id);
    await moveAndCheck(workload);
    const after = await asked<Mapped>('host2', workload.id);
    expect(after).toMatchObject({ lost: 0, mapped: after.memory, file: after.memory });
    expect(after.memory).toBeGreaterThan(before.memory);
  });

  test('with established TCP both ways, to the outside', { timeout: MIGRATE_MS }, async () => {
    const address = `10.77.${fleet.lab.index}.101`;
    const peer = watched(await startPeer(fleet.lab, address));
    const workload: Workload = { id: 'network', program: 'network', net: { kind: 'bridge', address } };
    await begin({ ...workload, args: peer.args });
    await conversationGoesOn(peer);
    await moveAndCheck(workload);
    await conversationGoesOn(peer);
    // Before the peer ends, and its connections with it.
    expect(await asked('host2', workload.id)).toMatchObject({ calls: { wrong: 0, lost: null } });
    const said = await peer.end();
    expect(said).toMatchObject({ connectionsLost: 0, called: { wrong: 0 }, served: { connections: 1 } });
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });
});

describe('a container on the host’s network, with TCP to itself', () => {
  const workload: Workload = {
    id: 'local',
    program: 'network',
    net: { kind: 'host' },
    args: ['127.0.0.1', '7000'],
  };
  interface Calls {
    readonly calls: { readonly sent: number; readonly lost: string | null };
  }

  test('keeps it with --tcp established', { timeout: MIGRATE_MS }, async () => {
    await begin(workload);
    const before = await asked<Calls>('host1', workload.id);
    await moveAndCheck(workload, ['--tcp', 'established']);
    const after = await asked<Calls>('host2', workload.id);
    expect(after).toMatchObject({ calls: { lost: null, wrong: 0 } });
    expect(after.calls.sent).toBeGreaterThan(before.calls.sent);
  });

  test('loses it, and nothing else, with --tcp close', { timeout: MIGRATE_MS }, async () => {
    await begin(workload);
    await moveAndCheck(workload, ['--tcp', 'close']);
    const after = await asked<Calls>('host2', workload.id);
    expect(after.calls.lost).not.toBeNull();
    await expectOneHistory(fleet.lab, workload.id, 'host2');
  });

  test('is not touched with --tcp refuse', { timeout: MIGRATE_MS }, async () => {
    await begin(workload);
    const flags = ['--tcp', 'refuse'];
    const move = { id: newId(), container: workload.id, from: 'host1', to: 'host2', flags };
    const { code, migration } = await migrate(fleet, move);
    expect([migration.state, code]).toEqual(['refused', 3]);
    expect(await asked('host1', workload.id)).toMatchObject({ calls: { lost: null } });
  });
});

test('ten moves back and forth, and a client of Redis that notices none', { timeout: 300_000 }, async () => {
  const { lab } = fleet;
  containers.add('redis');
  await startContainer(lab, 'host1', redisContainer(lab));
  const server = { address: redisAddress(lab), port: REDIS_PORT, key: 'n' };
  const client = watched(await startCountingClient(lab, server));
  const before = await lookAtHosts(lab);
  const witness = watched(await startWitness(lab, 'redis'));
  for (let turn = 0; turn < 10; turn += 1) {
    const [from, to] = turn % 2 === 0 ? (['host1', 'host2'] as const) : (['host2', 'host1'] as const);
    const { migration } = await migrate(fleet, { id: newId(), container: 'redis', from, to });
    expect([turn, migration.state, migration.message]).toEqual([turn, 'done', null]);
  }
  expect(await client.end()).toMatchObject({ connectionsLost: 0, wrongValues: 0 });
  await expectOneCopy(witness);
  await expectOnlyMoved(lab, before);
});

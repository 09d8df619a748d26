/** Where a container's files lie: below a path with spaces, carried over plain TCP; and on storage that both hosts see, not carried at all. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { labScript } from '@cmt/lab';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf, pathInHost } from '../../apps/lab/src/demo/container.ts';
import { startWitness } from '../../apps/lab/src/demo/observer.ts';
import { shadow } from '../support/broken-tools.ts';
import {
  expectOneCopy,
  expectOneHistory,
  lookAtHosts,
  stopLeavingNothing,
  type Before,
} from '../support/expectations.ts';
import { migrate, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { isUnbroken, readTicks } from '../support/ticks.ts';
import { ask, startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 120_000 };
let fleet: Fleet;
let hostsBefore: Before;
/** A directory of this machine that both hosts see under the same path. */
let shared: string;

beforeAll(async () => {
  shared = await mkdtemp('/var/tmp/cmt-shared-');
  fleet = await startFleet('bundles', 2, [shared]);
  for (const host of ['host1', 'host2']) await inHost(host, `mount -o remount,bind,rw ${shared}`);
  hostsBefore = await lookAtHosts(fleet.lab);
}, 300_000);
afterAll(async () => {
  await stopLeavingNothing(fleet, hostsBefore);
  await rm(shared, { recursive: true, force: true });
}, 120_000);

async function inHost(host: string, script: string): Promise<void> {
  await labScript(fleet.lab, host, script, { timeoutMs: 10_000 });
}

/** A container that counts, on host1; its bundle is at `place`, to which the usual one leads. */
async function startAt(id: string, place: string): Promise<void> {
  for (const host of ['host1', 'host2'])
    await inHost(host, `mkdir -p /srv/containers && ln -sr '${place}' ${bundleOf(id)}`);
  await inHost('host1', `mkdir -p '${place}'`);
  await startWorkload(fleet.lab, 'host1', { id, program: 'counter', net: { kind: 'none' } });
}

const move = (container: string, [from, to]: readonly [string, string], ...flags: string[]) =>
  migrate(fleet, { id: newId(), container, from, to, flags });

describe('a bundle below a path with spaces', () => {
  const id = 'spaced';
  const place = '/srv/my  containers/s p a c e d';

  test('is carried there over plain TCP, and back over ssh', LIMIT, async () => {
    await startAt(id, place);
    const witness = await startWitness(fleet.lab, id);
    const there = await move(id, ['host1', 'host2'], '--transport', 'tcp');
    expect([there.migration.state, there.migration.message]).toEqual(['done', null]);
    expect(await readFile(pathInHost(fleet.lab, 'host2', join(place, 'config.json')), 'utf8')).toContain(
      'counter',
    );
    await expectOneHistory(fleet.lab, id, 'host2');
    const back = await move(id, ['host2', 'host1']);
    expect([back.migration.state, back.migration.message]).toEqual(['done', null]);
    await expectOneHistory(fleet.lab, id, 'host1');
    await expectOneCopy(witness);
  });
});

describe('a bundle that both hosts see, with --shared-rootfs', () => {
  const id = 'shared';
  const onTarget = () => readTicks(fleet.lab, 'host2', id);

  test('stays where it is when the move is rolled back', LIMIT, async () => {
    await startAt(id, join(shared, id));
    const mend = await shadow(fleet.lab, 'host2', 'criu', '[ "$1" != swrk ] || exit 1');
    const { migration, code } = await move(id, ['host1', 'host2'], '--shared-rootfs');
    await mend();
    expect([migration.state, code]).toEqual(['rolled-back', 4]);
    expect(existsSync(join(shared, id, 'rootfs/data/counter'))).toBe(true);
    expect(await ask(fleet.lab, 'host1', id, 'state')).toBeTruthy();
  });

  test('is not carried, and is what the container goes on with', LIMIT, async () => {
    const witness = await startWitness(fleet.lab, id);
    const before = await onTarget();
    const { migration } = await move(id, ['host1', 'host2'], '--shared-rootfs');
    expect([migration.state, migration.message]).toEqual(['done', null]);
    expect(migration.steps.map(({ name }) => name)).not.toContain('sync-files');
    await expectOneCopy(witness);
    const { memory, file } = await ask<{ memory: number; file: number }>(fleet.lab, 'host2', id, 'state');
    expect(memory - file).toBeLessThanOrEqual(1);
    const after = await onTarget();
    expect(after.length).toBeGreaterThan(before.length);
    expect(isUnbroken(after)).toBe(true);
    expect(existsSync(join(shared, id, 'config.json'))).toBe(true);
  });
});

/**
 * A forgotten mount below what a step deletes leads somewhere else: to the root filesystem of a container that runs, or to a directory
 * of the user's. Whatever undoes or cleans a migration leaves that alone, and says so rather than delete through it (lifecycle H7).
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { labExec, labScript } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleOf, pathInHost, removeContainer } from '../../apps/lab/src/demo/container.ts';
import { shadow, type Mend } from '../support/broken-tools.ts';
import { lookAtHosts, stopLeavingNothing, type Before } from '../support/expectations.ts';
import { atStartOf, migrateAnd, newId, startFleet, type Fleet, type Move } from '../support/fleet.ts';
import { ask, startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 150_000 };
/** One for each test: where a mount stands in the way of cleaning, the journal keeps the container's entry open. */
let id: string;
let made = 0;
/** A container that lives on the target and is nobody's business. */
const neighbour = 'neighbour';
const OTHERS_ROOT = join(bundleOf(neighbour), 'rootfs');
const OWN_DIR = '/srv/precious';
let fleet: Fleet;
let before: Before;
const mends: Mend[] = [];

beforeAll(async () => {
  fleet = await startFleet('careless');
  before = await lookAtHosts(fleet.lab);
  await startWorkload(fleet.lab, 'host2', { id: neighbour, program: 'counter', net: { kind: 'none' } });
  await onTarget(`mkdir -p ${OWN_DIR}/below && echo kept > ${OWN_DIR}/below/file`);
}, 300_000);
afterAll(async () => {
  await onTarget(`rm -r ${OWN_DIR}`);
  await stopLeavingNothing(fleet, before);
}, 120_000);

beforeEach(async () => {
  id = `careful${(made += 1)}`;
  await startWorkload(fleet.lab, 'host1', { id, program: 'counter', net: { kind: 'none' } });
}, 60_000);
afterEach(async () => {
  for (const mend of mends.splice(0)) await mend();
  for (const host of ['host1', 'host2']) await removeContainer(fleet.lab, host, id);
});

async function onTarget(script: string): Promise<void> {
  await labScript(fleet.lab, 'host2', script, { timeoutMs: 10_000 });
}

/** Binds a directory of the target below another; the mend takes the mount away, whatever became of the place. */
async function bind(what: string, where: string): Promise<void> {
  await onTarget(`mkdir -p '${where}' && mount --bind '${what}' '${where}'`);
  mends.push(() => onTarget(`umount -l '${where}' || true`));
}

const aMove = (): Move => ({ id: newId(), container: id, from: 'host1', to: 'host2' });
const sizeOfTree = async (path: string): Promise<number> => {
  const { stdout } = await labExec(fleet.lab, 'host2', ['sh', '-c', `find ${path} | wc -l`], {
    timeoutMs: 10_000,
  });
  return Number(stdout);
};

/** Both are as they were, and the neighbour still runs from its own files. */
async function expectUntouched(files: { readonly root: number; readonly own: number }): Promise<void> {
  expect(await sizeOfTree(OTHERS_ROOT)).toBe(files.root);
  expect(await sizeOfTree(OWN_DIR)).toBe(files.own);
  expect(await readFile(pathInHost(fleet.lab, 'host2', `${OWN_DIR}/below/file`), 'utf8')).toBe('kept\n');
  await ask(fleet.lab, 'host2', neighbour, 'state');
}

const places = {
  'the images of the migration': ({ id: migration }: Move) => `/run/cmt/images/${migration}/forgotten`,
  'a bundle that the migration brought': () => join(bundleOf(id), 'rootfs/forgotten'),
};

describe.each(Object.entries(places))('a mount below %s', (_, placeOf) => {
  test.each([OTHERS_ROOT, OWN_DIR])('that leads to %s survives a rollback', LIMIT, async (what) => {
    const files = { root: await sizeOfTree(OTHERS_ROOT), own: await sizeOfTree(OWN_DIR) };
    const move = aMove();
    mends.push(await shadow(fleet.lab, 'host2', 'criu', '[ "$1" != swrk ] || exit 1'));
    const report = await migrateAnd(fleet, move, atStartOf('freeze-and-dump'), () =>
      bind(what, placeOf(move)),
    );
    expect(report.state).toBe('rolled-back');
    const refused = report.steps.filter(({ name, ok }) => (name === 'clean' || name === 'discard') && !ok);
    expect(refused, JSON.stringify(report.steps)).not.toEqual([]);
    await expectUntouched(files);
    await ask(fleet.lab, 'host1', id, 'state');
    expect((await stat(pathInHost(fleet.lab, 'host2', placeOf(move)))).isDirectory()).toBe(true);
  });
});

test('a mount below the images survives a migration that succeeds', LIMIT, async () => {
  const files = { root: await sizeOfTree(OTHERS_ROOT), own: await sizeOfTree(OWN_DIR) };
  const move = aMove();
  const report = await migrateAnd(fleet, move, atStartOf('confirm'), () =>
    bind(OTHERS_ROOT, places['the images of the migration'](move)),
  );
  expect(report.state).toBe('done');
  await expectUntouched(files);
  await ask(fleet.lab, 'host2', id, 'state');
});

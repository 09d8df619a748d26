/** The steps of both hosts without queue or saga: a whole move, and every way back. */
import { CmtError } from '@cmt/contracts';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isThere } from '../../libs/host/src/mounts.ts';
import { MIGRATION, writeBundle } from '../support/paper-host.ts';
import { bundleOn, container, failure, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

describe('a whole move', () => {
  test('the container runs on the target with its files, and nothing is left on either host', async () => {
    await hosts().prepare();
    await hosts().syncFiles();
    const holding = hosts().hold();
    await writeFile(join(bundleOn(hosts().source), 'rootfs', 'data', 'file'), 'written after the first sync');
    const frozen = await hosts().freeze();
    expect(await hosts().source.runtime.executes(container)).toBe(false);
    expect(hosts().source.network.state).toEqual(new Set(['fenced']));
    const synced = await hosts().finalSync();
    const held = await holding;
    expect(await hosts().target.runtime.executes(container)).toBe(false);
    expect(hosts().target.network.state).toEqual(new Set(['built']));

    const released = await hosts().release();
    expect(released).toMatchObject({ decision: 'COMMIT' });
    expect(released.releasedAt).toBeGreaterThanOrEqual(frozen.frozenAt);
    expect(hosts().decisions.made.get(`${MIGRATION} 1`)).toBe('COMMIT');
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    expect(hosts().target.network.state).toEqual(new Set(['built', 'attached']));
    expect(frozen.figures.bytesSent).toBeGreaterThan(200_000);
    expect(synced.bytes).toBeGreaterThan(0);
    expect(held.restoreMs).toBeGreaterThan(0);

    const confirmed = await hosts().confirm(60);
    expect(confirmed.ranMs).toBeGreaterThanOrEqual(60);
    await hosts().retire();
    expect(await hosts().source.runtime.list()).toEqual([]);
    await hosts().clean('moved');
    expect(await readFile(join(bundleOn(hosts().target), 'rootfs', 'data', 'file'), 'utf8')).toBe(
      'written after the first sync',
    );
    expect([await hosts().source.images(), await hosts().target.images()]).toEqual([[], []]);
    expect([await hosts().source.journal.open(), await hosts().target.journal.open()]).toEqual([[], []]);
  });

  test('files that both hosts share are not carried', async () => {
    await hosts().prepare(1, { sharedRootfs: true });
    const holding = hosts().hold();
    await hosts().freeze();
    expect((await hosts().finalSync(1, false)).bytes).toBe(0);
    await holding;
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
    expect(await isThere(bundleOn(hosts().target))).toBe(false);
  });

  test('pre-dump rounds arrive beside each other, each answered once', async () => {
    await hosts().prepare();
    const round = (number: number) => hosts().preDump(number);
    const first = await round(1);
    expect(await round(1)).toEqual(first);
    await round(2);
    const images = join(hosts().target.root, 'images', MIGRATION, '1');
    expect(await isThere(join(images, '1', 'pages-1.img'))).toBe(true);
    expect(await isThere(join(images, '2', 'pages-1.img'))).toBe(true);
    expect(await hosts().source.runtime.executes(container)).toBe(true);
    await hosts().undo();
  });
});

describe('a step that fails leaves the source running and nothing behind', () => {
  test('CRIU refuses to dump: the waiting target is told at once', async () => {
    hosts().source.runtime.faults.dumpLog =
      '(00.01) Error (criu/sk-unix.c:1): unix: External socket is used.\n';
    await hosts().prepare();
    await hosts().syncFiles();
    const holding = hosts().hold();
    const failed = expect(holding).rejects.toEqual(failure('TRANSFER_BROKEN'));
    await expect(hosts().freeze()).rejects.toBeInstanceOf(CmtError);
    await failed;
    expect(await hosts().source.runtime.executes(container)).toBe(false);
    expect(await hosts().undo()).toMatchObject({ wasFrozen: true });
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('the transfer is cut in the middle', async () => {
    hosts().source.runtime.faults.beforeDump = () => hosts().target.parts.receiver.forget(MIGRATION);
    await hosts().prepare();
    await hosts().syncFiles();
    const lost = expect(hosts().hold()).rejects.toEqual(failure('SESSION_LOST'));
    await expect(hosts().freeze()).rejects.toBeInstanceOf(CmtError);
    await lost;
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('the restore fails; a second hand-over of the same migration succeeds', async () => {
    hosts().target.runtime.faults.restoreFails = true;
    await hosts().prepare();
    await hosts().syncFiles();
    const failed = expect(hosts().hold()).rejects.toEqual(failure('RESTORE_FAILED'));
    await hosts().freeze();
    await hosts().finalSync();
    await failed;
    expect(await hosts().target.runtime.list()).toEqual([]);
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    await hosts().discard();
    await hosts().resume();
    expect(await hosts().source.runtime.executes(container)).toBe(true);

    hosts().target.runtime.faults.restoreFails = false;
    await hosts().heldOnTarget(2);
    expect(await hosts().release(2)).toMatchObject({ decision: 'COMMIT' });
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    expect(await hosts().source.runtime.executes(container)).toBe(false);
  });

  test('a cancel during the freeze: CRIU ends its dump, then the source runs on', async () => {
    const cancel = new AbortController();
    const cancelled = new CmtError('CANCELLED', { reason: 'an operator' });
    hosts().source.runtime.faults.beforeDump = () => Promise.resolve(cancel.abort(cancelled));
    await hosts().prepare();
    await hosts().syncFiles();
    const holding = expect(hosts().hold()).rejects.toEqual(failure('TRANSFER_BROKEN'));
    await expect(hosts().freeze(1, cancel.signal)).rejects.toEqual(failure('CANCELLED'));
    await holding;
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('a cancel before the freeze changes nothing on the source', async () => {
    const cancel = new AbortController();
    await hosts().prepare();
    await hosts().syncFiles();
    const waiting = hosts().freeze(1, cancel.signal);
    cancel.abort(new CmtError('CANCELLED', { reason: 'an operator' }));
    await expect(waiting).rejects.toEqual(failure('CANCELLED'));
    expect(await hosts().source.runtime.executes(container)).toBe(true);
    expect((await hosts().source.journal.read(MIGRATION))?.phase).toBe('SENDING');
    expect(await hosts().undo()).toEqual({ wasFrozen: false, frozenMs: 0 });
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('the target is discarded while it waits for images', async () => {
    await hosts().prepare();
    const waiting = expect(hosts().hold()).rejects.toThrow();
    await hosts().undo();
    await waiting;
    await hosts().expectNothingOnTarget();
  });

  test('the target is too full, or the address is taken: nothing stays', async () => {
    await expect(hosts().prepare(1, { memory: 1e15 })).rejects.toEqual(failure('TARGET_FULL'));
    hosts().target.network.addressesTaken = ['10.0.0.1'];
    await expect(hosts().prepare()).rejects.toEqual(failure('ADDRESS_TAKEN'));
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });
});

describe('what was there before stays', () => {
  test('a container of the same name on the target, its bundle and its network', async () => {
    await mkdir(bundleOn(hosts().target), { recursive: true });
    const pid = await hosts().target.runtime.run(container, bundleOn(hosts().target));
    hosts().target.network.state.add('attached');
    await expect(hosts().prepare()).rejects.toEqual(failure('NAME_TAKEN'));
    await hosts().undo();
    expect(await hosts().target.runtime.state(container)).toMatchObject({ pid, status: 'running' });
    expect(hosts().target.network.state).toEqual(new Set(['attached']));
    expect(await isThere(bundleOn(hosts().target))).toBe(true);
  });

  test('a bundle directory that existed keeps its place after an undo', async () => {
    await writeBundle(bundleOn(hosts().target));
    await hosts().heldOnTarget();
    await hosts().undo();
    expect(await isThere(join(bundleOn(hosts().target), 'config.json'))).toBe(true);
    await hosts().expectSourceAsBefore();
  });
});

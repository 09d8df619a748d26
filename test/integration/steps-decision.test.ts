/** The decision, commands that come twice, and commands that come too late. */
import { describe, expect, test } from 'vitest';
import { isThere } from '../../libs/host/src/mounts.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import { MIGRATION, writeBundle } from '../support/paper-host.ts';
import { bundleOn, container, failure, on, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

describe('the decision', () => {
  test('while Redis is away the copy stays held; the answer is then obeyed', async () => {
    await hosts().heldOnTarget();
    hosts().decisions.away = true;
    const releasing = hosts().release();
    await hosts().decisions.askedInVain();
    await hosts().decisions.askedInVain();
    expect(await hosts().target.runtime.executes(container)).toBe(false);
    expect((await hosts().target.journal.read(MIGRATION))?.phase).toBe('HELD');
    hosts().decisions.away = false;
    expect(await releasing).toMatchObject({ decision: 'COMMIT' });
  });

  test('out of time without an answer: still held, and nothing was chosen', async () => {
    await hosts().heldOnTarget();
    hosts().decisions.away = true;
    const limit = new AbortController();
    const releasing = hosts().release(1, limit.signal);
    await hosts().decisions.askedInVain();
    limit.abort(new Error('out of time'));
    await expect(releasing).rejects.toThrow('out of time');
    expect((await hosts().target.journal.read(MIGRATION))?.phase).toBe('HELD');
    expect(hosts().decisions.made.size).toBe(0);
  });

  test('ABORT was first: the held copy dies and the source runs on', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    expect(await hosts().release()).toMatchObject({ decision: 'ABORT' });
    expect(await hosts().target.runtime.list()).toEqual([]);
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('COMMIT was first: a discard answers COMMIT and does nothing', async () => {
    await hosts().heldOnTarget();
    await hosts().release();
    expect(await hosts().discard()).toEqual({ decision: 'COMMIT' });
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    await expect(hosts().resume()).rejects.toEqual(failure('NOT_ABORTED'));
  });

  test('a held copy that was voted for is not discarded, even if that was not written down', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'COMMIT');
    expect(await hosts().discard()).toEqual({ decision: 'COMMIT' });
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
  });

  test('without a record the source neither resumes nor retires', async () => {
    await hosts().heldOnTarget();
    await expect(hosts().resume()).rejects.toEqual(failure('NOT_ABORTED'));
    await expect(hosts().retire()).rejects.toEqual(failure('UNDECIDED'));
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    await expect(hosts().retire()).rejects.toEqual(failure('UNDECIDED'));
    expect(await hosts().source.runtime.list()).toHaveLength(1);
  });
});

describe('delivered twice', () => {
  test('every step of a switch answers the same, and works once', async () => {
    await Promise.all([hosts().prepare(), hosts().prepare()]);
    await Promise.all([hosts().syncFiles(), hosts().syncFiles()]);
    const holding = Promise.all([hosts().hold(), hosts().hold()]);
    const [first, second] = await Promise.all([hosts().freeze(), hosts().freeze()]);
    expect(second).toEqual(first);
    expect(hosts().source.runtime.dumps).toBe(1);
    const [sync, again] = await Promise.all([hosts().finalSync(), hosts().finalSync()]);
    expect(again).toEqual(sync);
    const [held, heldAgain] = await holding;
    expect(heldAgain).toEqual(held);
    const [released, releasedAgain] = await Promise.all([hosts().release(), hosts().release()]);
    expect(releasedAgain).toEqual(released);
    await Promise.all([hosts().retire(), hosts().retire()]);
    await hosts().clean('moved');
    await hosts().clean('moved');
    expect(await hosts().target.runtime.executes(container)).toBe(true);
  });

  test('and so does the way back', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    expect(await Promise.all([hosts().discard(), hosts().discard()])).toEqual([
      { decision: 'ABORT' },
      { decision: 'ABORT' },
    ]);
    await Promise.all([hosts().resume(), hosts().resume()]);
    await hosts().clean('stayed');
    expect(await hosts().discard()).toEqual({ decision: 'ABORT' });
    await hosts().resume();
    await hosts().clean('stayed');
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });
});

describe('too late', () => {
  test('after a discard nothing of that epoch happens on the target', async () => {
    await hosts().prepare();
    await hosts().discard();
    for (const late of [() => hosts().prepare(), () => hosts().hold()])
      await expect(late()).rejects.toEqual(failure('STALE_EPOCH'));
    expect(await hosts().release()).toMatchObject({ decision: 'ABORT' });
    await hosts().clean('stayed');
    await hosts().expectNothingOnTarget();
  });

  test('a discard that comes before its prepare is remembered', async () => {
    await hosts().discard();
    await expect(hosts().prepare()).rejects.toEqual(failure('STALE_EPOCH'));
  });

  test('after a resume nothing of that epoch freezes the source', async () => {
    await hosts().prepare();
    await hosts().resume();
    await expect(hosts().freeze()).rejects.toEqual(failure('STALE_EPOCH'));
    await expect(hosts().syncFiles()).rejects.toEqual(failure('STALE_EPOCH'));
    expect(await hosts().source.runtime.executes(container)).toBe(true);
  });

  test('an older epoch is refused everywhere once a newer one has begun', async () => {
    await hosts().prepare(2);
    await hosts().syncFiles(2);
    const older = [
      () => hosts().prepare(1),
      () => hosts().hold(1),
      () => hosts().release(1),
      () => hosts().discard(1),
      () => hosts().syncFiles(1),
      () => hosts().freeze(1),
      () => hosts().resume(1),
    ];
    for (const late of older) await expect(late()).rejects.toEqual(failure('STALE_EPOCH'));
    expect(await isThere(bundleOn(hosts().target))).toBe(true);
  });

  test('a discard of a closed migration does not touch what lies there now', async () => {
    await hosts().prepare();
    await hosts().undo();
    await writeBundle(bundleOn(hosts().target));
    await hosts().target.runtime.run(container, bundleOn(hosts().target));
    expect(await hosts().discard(2)).toEqual({ decision: 'ABORT' });
    expect(await isThere(bundleOn(hosts().target))).toBe(true);
    expect(await hosts().target.runtime.list()).toHaveLength(1);
  });

  test('a container that is busy with another migration is refused', async () => {
    await hosts().prepare();
    await hosts().syncFiles();
    const other = { ...hosts().source.context(), migration: 'm2' };
    await expect(
      steps['sync-files']({ subject: on(hosts().source), route: hosts().target.route() }, other),
    ).rejects.toEqual(failure('CONTAINER_BUSY'));
  });
});

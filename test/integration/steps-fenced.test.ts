/** An operator's word that one side is fenced: what the other side does with it, and the fenced one when it is back. */
import type { Resolution } from '@cmt/contracts';
import { describe, expect, test } from 'vitest';
import { isThere } from '../../libs/host/src/mounts.ts';
import { settle, settleFencedSides, type Settlement } from '../../libs/host/src/settle.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import { MIGRATION, type PaperHost } from '../support/paper-host.ts';
import { bundleOn, container, failure, inputs, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

const say = (fenced: Resolution['fenced'], over = false): void =>
  void hosts().decisions.words.set(MIGRATION, { fenced, over });
const given = () => inputs(hosts().source, hosts().target);
const resumeAlone = () => steps.resume({ ...given().onSource, fenced: true }, hosts().source.context());
const releaseAlone = () => steps.release({ ...given().onTarget, fenced: true }, hosts().target.context());
const phaseOn = async (host: PaperHost) => (await host.journal.read(MIGRATION))?.phase;
const settled = (host: PaperHost, look: typeof settle = settle): Promise<Settlement[]> =>
  look(host.journal, () => host.context());

describe('the target is fenced', () => {
  test.each(['COMMIT', 'ABORT', null] as const)(
    'the frozen copy runs on, whatever is on record (%s)',
    async (decision) => {
      await hosts().heldOnTarget();
      if (decision) await hosts().decisions.settle(MIGRATION, 1, decision);
      say('target');
      expect(await resumeAlone()).toMatchObject({ wasFrozen: true });
      await steps.clean({ side: 'source', ...given().onSource, outcome: 'stayed' }, hosts().source.context());
      await hosts().expectSourceAsBefore();
    },
  );

  test('a leg alone changes nothing: the word must be on record, and about the target', async () => {
    await hosts().heldOnTarget();
    await expect(resumeAlone()).rejects.toEqual(failure('NOT_ABORTED'));
    say('source');
    await expect(resumeAlone()).rejects.toEqual(failure('NOT_ABORTED'));
    expect([await phaseOn(hosts().source), hosts().decisions.made.size]).toEqual(['FROZEN', 0]);
  });

  test('a frozen copy that has died is no copy: said so, and nothing is written', async () => {
    await hosts().heldOnTarget();
    await hosts().source.runtime.destroy(container);
    say('target');
    await expect(resumeAlone()).rejects.toEqual(failure('COPY_GONE'));
    expect([await phaseOn(hosts().source), hosts().decisions.made.size]).toEqual(['FROZEN', 0]);
  });

  test.each(['HELD', 'COMMITTED'] as const)(
    'when it is back, its %s copy is not let go, even with COMMIT on record, and goes once that is over',
    async (phase) => {
      await hosts().heldOnTarget();
      await hosts().decisions.settle(MIGRATION, 1, 'COMMIT');
      const entry = (await hosts().target.journal.read(MIGRATION))!;
      await hosts().target.journal.write({ ...entry, phase });
      hosts().target = await hosts().target.restarted();
      say('target');
      expect(await settled(hosts().target)).toMatchObject([{ phase, outcome: 'waits' }]);
      await expect(hosts().release()).rejects.toEqual(failure('FENCED_OFF'));
      await expect(hosts().discard()).resolves.toEqual({ decision: 'COMMIT' });
      expect(await hosts().target.runtime.executes(container)).toBe(false);
      say('target', true);
      expect(await settled(hosts().target, settleFencedSides)).toMatchObject([{ outcome: 'finished' }]);
      await hosts().expectNothingOnTarget();
    },
  );

  test('while Redis is away nothing that could run is touched', async () => {
    await hosts().heldOnTarget();
    const entry = (await hosts().target.journal.read(MIGRATION))!;
    await hosts().target.journal.write({ ...entry, phase: 'COMMITTED' });
    hosts().target = await hosts().target.restarted();
    hosts().decisions.away = true;
    expect(await settled(hosts().target)).toMatchObject([{ phase: 'COMMITTED', outcome: 'waits' }]);
    expect(await hosts().target.runtime.executes(container)).toBe(false);
  });

  test('a copy that runs there is reported, and neither killed nor cleaned away', async () => {
    await hosts().heldOnTarget();
    await hosts().release();
    say('target', true);
    for (const look of [settle, settleFencedSides])
      expect(await settled(hosts().target, look)).toMatchObject([
        { phase: 'RUNNING', outcome: 'alarm', text: expect.stringContaining('two copies') as string },
      ]);
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    expect(await isThere(bundleOn(hosts().target))).toBe(true);
  });

  test('the files of a copy that had run stay; all else goes', async () => {
    await hosts().heldOnTarget();
    await hosts().release();
    await hosts().target.runtime.destroy(container);
    say('target', true);
    expect(await settled(hosts().target)).toMatchObject([{ outcome: 'finished' }]);
    expect([await isThere(bundleOn(hosts().target)), await hosts().target.images()]).toEqual([true, []]);
    expect(await hosts().target.journal.open()).toEqual([]);
  });
});

describe('the source is fenced', () => {
  test.each(['COMMIT', 'ABORT', null] as const)(
    'the held copy runs, whatever is on record (%s)',
    async (decision) => {
      await hosts().heldOnTarget();
      if (decision) await hosts().decisions.settle(MIGRATION, 1, decision);
      say('source');
      expect(await releaseAlone()).toMatchObject({ decision: 'COMMIT' });
      expect(await releaseAlone()).toMatchObject({ decision: 'COMMIT' });
      expect(await hosts().target.runtime.executes(container)).toBe(true);
      expect(await phaseOn(hosts().target)).toBe('RUNNING');
    },
  );

  test('without the word on record the decision stands', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    await expect(releaseAlone()).rejects.toEqual(failure('NOT_ABORTED'));
    expect(await hosts().target.runtime.executes(container)).toBe(false);
    expect(await phaseOn(hosts().target)).toBe('HELD');
  });

  test.each(['discarded', 'never held'] as const)('a copy that was %s is no copy', async (how) => {
    if (how === 'discarded') await hosts().heldOnTarget();
    else await hosts().prepare();
    if (how === 'discarded') await hosts().discard();
    const before = await phaseOn(hosts().target);
    say('source');
    await expect(releaseAlone()).rejects.toEqual(failure('COPY_GONE'));
    expect(await phaseOn(hosts().target)).toBe(before);
  });

  test('when it is back, its frozen copy stays frozen, and goes once that is over', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    say('source');
    hosts().source = await hosts().source.restarted();
    expect(await settled(hosts().source)).toMatchObject([{ phase: 'FROZEN', outcome: 'waits' }]);
    await expect(hosts().resume()).rejects.toEqual(failure('FENCED_OFF'));
    expect(await hosts().source.runtime.list()).toHaveLength(1);
    say('source', true);
    expect(await settled(hosts().source, settleFencedSides)).toMatchObject([{ outcome: 'finished' }]);
    expect(await hosts().source.runtime.list()).toEqual([]);
    expect([hosts().source.network.state, await hosts().source.journal.open()]).toEqual([new Set(), []]);
    expect(await isThere(bundleOn(hosts().source))).toBe(true);
  });

  test('what was about to run on there does not', async () => {
    await hosts().heldOnTarget();
    const entry = (await hosts().source.journal.read(MIGRATION))!;
    await hosts().source.journal.write({ ...entry, phase: 'RESUMED' });
    hosts().source = await hosts().source.restarted();
    say('source');
    expect(await settled(hosts().source)).toMatchObject([{ phase: 'RESUMED', outcome: 'waits' }]);
    expect(await hosts().source.runtime.executes(container)).toBe(false);
  });
});

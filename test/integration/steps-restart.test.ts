/** A worker that is killed and started again in the middle of a hand-over. */
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { isAlive } from '../../libs/host/src/proc.ts';
import { settle } from '../../libs/host/src/settle.ts';
import { MIGRATION } from '../support/paper-host.ts';
import { container, failure, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

/** Kills a process; resolves when it is dead, which no event tells of another's child. */
async function killed(who: { pid: number; startTime: string }): Promise<void> {
  process.kill(who.pid, 'SIGKILL');
  while (await isAlive(who)) await wait(1);
}

describe('a worker that is killed and started again', () => {
  const settleTarget = () =>
    settle(hosts().target.journal, ({ migration, epoch }) => ({
      ...hosts().target.context(epoch),
      migration,
    }));

  test('between HELD and the decision: the copy stays held, and the next release lets it go', async () => {
    await hosts().heldOnTarget();
    hosts().target = await hosts().target.restarted();
    expect(await settleTarget()).toMatchObject([{ phase: 'HELD', outcome: 'waits' }]);
    expect(await hosts().target.runtime.executes(container)).toBe(false);
    expect(await hosts().hold()).toMatchObject({ restoreMs: expect.any(Number) as number });
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
    expect(await hosts().target.runtime.executes(container)).toBe(true);
  });

  test.each(['COMMIT', 'ABORT'] as const)(
    '%s was decided meanwhile: it is carried out at the start',
    async (decision) => {
      await hosts().heldOnTarget();
      hosts().target = await hosts().target.restarted();
      await hosts().decisions.settle(MIGRATION, 1, decision);
      expect(await settleTarget()).toMatchObject([{ phase: 'HELD', outcome: 'finished' }]);
      expect(await hosts().target.runtime.executes(container)).toBe(decision === 'COMMIT');
      expect((await hosts().target.journal.read(MIGRATION))?.phase).toBe(
        decision === 'COMMIT' ? 'RUNNING' : 'DISCARDED',
      );
    },
  );

  test('Redis is away at the start: held, and nothing chosen', async () => {
    await hosts().heldOnTarget();
    hosts().target = await hosts().target.restarted();
    hosts().decisions.away = true;
    expect(await settleTarget()).toMatchObject([{ phase: 'HELD', outcome: 'waits' }]);
    expect(await hosts().target.runtime.executes(container)).toBe(false);
  });

  test('COMMITTED was written and the copy is dead: it is restored again from its images', async () => {
    await hosts().heldOnTarget();
    const entry = await hosts().target.journal.read(MIGRATION);
    await hosts().target.journal.write({ ...entry!, phase: 'COMMITTED' });
    hosts().target = await hosts().target.restarted();
    await killed(entry!.restore!);
    await hosts().target.runtime.destroy(container);
    expect(await settleTarget()).toMatchObject([{ phase: 'COMMITTED', outcome: 'finished' }]);
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    expect((await hosts().target.journal.read(MIGRATION))?.phase).toBe('RUNNING');
  });

  test('the gate was opened and RUNNING not written: the running copy is left as it is', async () => {
    await hosts().heldOnTarget();
    await hosts().release();
    const entry = await hosts().target.journal.read(MIGRATION);
    const { pid } = (await hosts().target.runtime.state(container))!;
    await hosts().target.parts.journal.write({ ...entry!, phase: 'COMMITTED' });
    hosts().target = await hosts().target.restarted();
    expect(await settleTarget()).toMatchObject([{ phase: 'COMMITTED', outcome: 'finished' }]);
    expect(await hosts().target.runtime.state(container)).toMatchObject({ pid, status: 'running' });
  });

  test('the held copy died with nobody watching: reported, and taken back', async () => {
    await hosts().heldOnTarget();
    const entry = await hosts().target.journal.read(MIGRATION);
    hosts().target = await hosts().target.restarted();
    await killed(entry!.restore!);
    await hosts().target.runtime.destroy(container);
    await expect(hosts().hold()).rejects.toEqual(failure('HELD_COPY_DIED'));
    await expect(hosts().release()).rejects.toEqual(failure('HELD_COPY_DIED'));
    expect(hosts().decisions.made.size).toBe(0);
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('the target after prepare: prepared again it expects again', async () => {
    await hosts().prepare();
    hosts().target = await hosts().target.restarted();
    await expect(hosts().hold()).rejects.toEqual(failure('SESSION_LOST'));
    await hosts().heldOnTarget();
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
  });

  test('the source while frozen: it stays frozen, and the same leg goes on', async () => {
    await hosts().prepare();
    await hosts().syncFiles();
    const holding = hosts().hold();
    const frozen = await hosts().freeze();
    hosts().source = await hosts().source.restarted();
    const settled = await settle(hosts().source.journal, () => hosts().source.context());
    expect(settled).toMatchObject([{ phase: 'FROZEN', outcome: 'waits' }]);
    expect(await hosts().source.runtime.executes(container)).toBe(false);
    expect(await hosts().freeze()).toEqual(frozen);
    await hosts().finalSync();
    await holding;
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
  });

  test('the source between RESUMED and the resume itself: it runs on at the start', async () => {
    await hosts().heldOnTarget();
    await hosts().decisions.settle(MIGRATION, 1, 'ABORT');
    await hosts().discard();
    const entry = await hosts().source.journal.read(MIGRATION);
    await hosts().source.journal.write({ ...entry!, phase: 'RESUMED' });
    hosts().source = await hosts().source.restarted();
    await settle(hosts().source.journal, () => hosts().source.context());
    expect(await hosts().source.runtime.executes(container)).toBe(true);
    expect(hosts().source.network.state).toEqual(new Set());
  });
});

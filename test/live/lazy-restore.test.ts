/** Large containers run before their memory is there: it is complete in the end, or the container never reads what it lacks. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { shadow } from '../support/broken-tools.ts';
import { expectOnlyMoved } from '../support/expectations.ts';
import { atStartOf, crash, migrate, migrateAnd, newId } from '../support/fleet.ts';
import { outcomeOf, Rewriter } from '../support/rewriter.ts';

const LIMIT = { timeout: 240_000 };
const id = 'large';
/** 1 GiB: the last page is a second or more behind the first. */
const rewriter = Rewriter.use({ lab: 'lazy', id, pages: 262_144 });
// Before it is removed: what is registered last comes first.
afterEach(() => letDaemonGoOn());

const move = (...flags: string[]) => ({ id: newId(), container: id, from: 'host1', to: 'host2', flags });

const inHost2 = (script: string): Promise<string> => rewriter.inHost('host2', script);

/** The processes that fill memory: `criu lazy-pages`, or its guard. */
const pidsOf = (who: 'lazy-pages' | 'guard.pl'): Promise<string> =>
  inHost2(`pgrep -f '^[^ ]*${who === 'guard.pl' ? 'perl [^ ]*guard.pl' : 'criu lazy-pages'} '`);

/** Has the daemon in a cgroup of its own, in which it can be made to stand still: the guard lets no signal do that. */
async function daemonCanBeStopped(): Promise<void> {
  const enter = 'mkdir -p /sys/fs/cgroup/daemon; echo $$ > /sys/fs/cgroup/daemon/cgroup.procs';
  const script = `[ "$1" != lazy-pages ] || { ${enter}; }`;
  await rewriter.broken(shadow(rewriter.fleet.lab, 'host2', 'criu', script));
}

/** From here on pages are missing, and stay so. */
async function stopDaemon(): Promise<void> {
  await inHost2('echo 1 > /sys/fs/cgroup/daemon/cgroup.freeze');
  expect(await pidsOf('lazy-pages')).toMatch(/^\d+$/);
}
const letDaemonGoOn = (): Promise<string> => inHost2('echo 0 > /sys/fs/cgroup/daemon/cgroup.freeze');

/** Moves it lazily, and does that while pages are missing. */
async function moveLazily(whileMissing: () => Promise<void>, asked = move('--restore', 'lazy')) {
  await daemonCanBeStopped();
  return await migrateAnd(rewriter.fleet, asked, atStartOf('confirm'), async () => {
    await stopDaemon();
    await whileMissing();
  });
}

async function expectMoved(): Promise<void> {
  await rewriter.expectRunsOn('host2');
  expect(await pidsOf('lazy-pages')).toBe('');
  expect(await pidsOf('guard.pl')).toBe('');
  await inHost2('rmdir /sys/fs/cgroup/daemon');
  await expectOnlyMoved(rewriter.fleet.lab, rewriter.before);
}

describe('a container of 1 GiB that rewrites its memory all along', () => {
  test('runs before its pages are in, and has them all in the end', LIMIT, async () => {
    const report = await moveLazily(async () => {
      await pause(2000);
      expect(await pidsOf('guard.pl')).toMatch(/^\d+$/);
      await letDaemonGoOn();
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });

  test.each([
    ['where that was asked for', 'complete'],
    ['when its pages cannot follow', 'lazy'],
  ])('is restored complete %s', LIMIT, async (_, restore) => {
    await rewriter.broken(shadow(rewriter.fleet.lab, 'host2', 'criu', '[ "$1" != lazy-pages ] || exit 1'));
    const { migration } = await migrate(rewriter.fleet, move('--restore', restore));
    expect(outcomeOf(migration)).toEqual(['done', null]);
    await expectMoved();
  });

  test('is waited for by a worker that was started again meanwhile', LIMIT, async () => {
    const report = await moveLazily(async () => {
      await crash(rewriter.fleet, { worker: 'host2' });
      await pause(1000);
      await letDaemonGoOn();
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });

  test('gets another guard for one that was killed', LIMIT, async () => {
    const report = await moveLazily(async () => {
      const first = await pidsOf('guard.pl');
      await inHost2(`kill -KILL ${first}`);
      for (let looks = 0; looks < 100 && ['', first].includes(await pidsOf('guard.pl')); looks += 1)
        await pause(50);
      expect(await pidsOf('guard.pl')).not.toBe(first);
      await letDaemonGoOn();
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });

  test(
    'is killed before it reads a page that is lost, and runs on at the source by an operator’s word',
    LIMIT,
    async () => {
      const asked = move('--restore', 'lazy');
      const report = await moveLazily(async () => {
        await inHost2(`kill -KILL ${await pidsOf('lazy-pages')}`);
      }, asked);
      expect(outcomeOf(report)).toEqual(['needs-operator', 'LAZY_PAGES_LOST']);
      expect(await inHost2(`cat /sys/fs/cgroup/${id}/cgroup.procs 2> /dev/null`)).toBe('');
      expect(await pidsOf('guard.pl')).toBe('');

      const word = ['--fenced', 'host2', '--confirm', 'host2', '--even-though-online'];
      const resolved = await rewriter.fleet.cmt(['resolve', asked.id, ...word], 120_000);
      expect([resolved.code, resolved.migration?.state]).toEqual([4, 'rolled-back']);
      await rewriter.expectAllMemory('host1');
      const closed = (): Promise<string> => inHost2(`jq .closed /var/lib/cmt/journal/${asked.id}.json`);
      for (let looks = 0; looks < 400 && (await closed()) !== 'true'; looks += 1) await pause(100);
      expect(
        await inHost2(
          `runc list -q; find /run/cmt/images /sys/fs/cgroup/${id} -mindepth 1 2> /dev/null || true`,
        ),
      ).toBe('');
    },
  );
});

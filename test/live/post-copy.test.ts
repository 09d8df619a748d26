/** Pages follow a container from its frozen source while it runs; and what becomes of it when they stop coming. */
import { describe, expect, test, vi } from 'vitest';
import { setTimeout as pause } from 'node:timers/promises';
import { bytesSent, refuseTransfers, shadow } from '../support/broken-tools.ts';
import { expectNothingBehind, expectOneCopy, expectOnlyMoved } from '../support/expectations.ts';
import { atStartOf, crash, migrate, migrateAnd, newId } from '../support/fleet.ts';
import { patient } from '../support/patience.ts';
import { outcomeOf, Rewriter } from '../support/rewriter.ts';

const LIMIT = { timeout: 240_000 };
/** At which the pages take long enough to be met on their way. */
const SLOWLY = ['--bandwidth', '24MiB/s'];
const id = 'followed';
/** 256 MiB. */
const rewriter = Rewriter.use({ lab: 'post', id, pages: 65_536 });

const move = (...flags: string[]) => ({
  ...{ id: newId(), container: id, from: 'host1', to: 'host2' },
  flags: ['--mode', 'post-copy', ...flags],
});

const inHost = (host: string, script: string): Promise<string> => rewriter.inHost(host, script);

/** Kills the one process of a host that is called so. */
async function killThe(host: string, pattern: string): Promise<void> {
  const pids = await inHost(host, `pgrep -f '${pattern}'`);
  expect(pids).toMatch(/^\d+$/);
  await inHost(host, `kill -KILL ${pids}`);
}
const SERVER = '^criu: dump ';
const DAEMON = '^[^ ]*criu lazy-pages ';
const CARRIER = '[i]mage-carrier.js pages$';

/** Until whoever carries the pages from host1 is told so. */
const untilRate = (bytesPerSecond: number): Promise<void> =>
  vi.waitFor(
    async () => {
      expect(await inHost('host1', 'cat /run/cmt/images/*/1-notes/page-rate.json')).toBe(`${bytesPerSecond}`);
    },
    { timeout: patient(60_000), interval: 200 },
  );

async function expectMoved(): Promise<void> {
  await rewriter.expectRunsOn('host2');
  await expectOnlyMoved(rewriter.fleet.lab, rewriter.before);
}

async function expectStayed(): Promise<void> {
  await rewriter.expectRunsOn('host1');
  await expectNothingBehind(rewriter.fleet.lab, rewriter.before);
}

/** A fenced host throws away what it holds when it hears of the word: until then it takes no container of that name. */
const untilThrownAway = (host: string): Promise<void> =>
  vi.waitFor(
    async () => {
      const open = `jq -r 'select(.closed != true) | .phase' /var/lib/cmt/journal/*.json`;
      expect(await inHost(host, `runc list -q; ${open}`)).toBe('');
    },
    { timeout: patient(30_000), interval: 200 },
  );

/** The copy is dead, the source stands as it was at the switch, and runs on by an operator's word alone. */
async function expectLostAndFound(migration: string): Promise<void> {
  expect(await inHost('host1', `runc state ${id} | jq -r .status`)).toBe('paused');
  expect(await inHost('host2', `runc state ${id} | jq -r .status`)).not.toBe('running');
  await expectOneCopy(rewriter.witness);
  const resolved = await rewriter.fleet.cmt(
    ['resolve', migration, '--fenced', 'host2', '--confirm', 'host2', '--even-though-online'],
    120_000,
  );
  expect([resolved.migration?.state, resolved.error?.code]).toEqual(['rolled-back', 'RESOLVED']);
  await rewriter.expectAllMemory('host1');
  await untilThrownAway('host2');
  expect(await inHost('host2', `pgrep -fc '${DAEMON}|${CARRIER}' || true`)).toBe('0');
}

describe('a container of 256 MiB that rewrites its memory all along', () => {
  test('runs before its pages have come, and has them all in the end', LIMIT, async () => {
    const { migration } = await migrate(rewriter.fleet, move());
    expect(outcomeOf(migration)).toEqual(['done', null]);
    expect(migration.bytesSent ?? 0).toBeLessThan(64 << 20);
    await expectMoved();
    // What it cost beside its memory is known of the next one.
    const costs = (host: string) => inHost(host, 'cat /var/lib/cmt/costs.json');
    expect(JSON.parse(await costs('host1'))).toMatchObject({ dump: [{}] });
    expect(JSON.parse(await costs('host2'))).toMatchObject({ restore: [{ bytes: 0 }] });
  });

  test('does not depend on the workers', LIMIT, async () => {
    const report = await migrateAnd(rewriter.fleet, move(...SLOWLY), atStartOf('confirm'), async () => {
      await crash(rewriter.fleet, { worker: 'host1' });
      await crash(rewriter.fleet, { worker: 'host2' });
      expect(await inHost('host2', `pgrep -fc '${DAEMON}'`)).toBe('1');
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });
});

describe('while its pages follow,', () => {
  test('a cancel comes too late, and says so', LIMIT, async () => {
    const asked = move(...SLOWLY);
    const report = await migrateAnd(rewriter.fleet, asked, atStartOf('confirm'), async () => {
      const { ok, error } = await rewriter.fleet.cmt(['cancel', asked.id], 30_000);
      expect([ok, error?.code]).toEqual([false, 'TOO_LATE_TO_CANCEL']);
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });

  test('`cmt tune --bandwidth` holds, whichever worker hears of it', LIMIT, async () => {
    const asked = move('--bandwidth', '1MiB/s');
    const { lab, cmt } = rewriter.fleet;
    const tune = async (rate: string): Promise<void> => {
      expect((await cmt(['tune', asked.id, '--bandwidth', rate], 30_000)).ok).toBe(true);
    };
    let [slowed, seconds, freed] = [0, 0, 0];
    const report = await migrateAnd(rewriter.fleet, asked, atStartOf('confirm'), async () => {
      await crash(rewriter.fleet, { worker: 'host1' });
      await tune('256KiB/s');
      await untilRate(2 ** 18);
      const [sent, since] = [await bytesSent(lab, 'host1'), performance.now()];
      await pause(4000);
      slowed = (await bytesSent(lab, 'host1')) - sent;
      freed = performance.now();
      seconds = (freed - since) / 1000;
      await tune('none');
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    // A tenth more for what is around the pages, and a second for what was on its way; before it would have been 4 MiB.
    expect(slowed).toBeLessThan((seconds + 1) * 1.1 * 2 ** 18);
    // What was left would have taken minutes.
    expect(performance.now() - freed).toBeLessThan(60_000);
    await expectMoved();
  });
});

describe('is killed before it reads a page that is missing, and stands frozen at the source,', () => {
  test.each([
    ['the source no longer serves', () => killThe('host1', SERVER)],
    ['the daemon of the target dies', () => killThe('host2', DAEMON)],
    ['the carrier of the source dies', () => killThe('host1', CARRIER)],
    ['the link breaks', () => rewriter.broken(refuseTransfers(rewriter.fleet.lab, 'host2'))],
  ])('when %s', LIMIT, async (_, breakIt) => {
    const asked = move(...SLOWLY);
    const report = await migrateAnd(rewriter.fleet, asked, atStartOf('confirm'), breakIt);
    expect(outcomeOf(report)).toEqual(['needs-operator', 'LAZY_PAGES_LOST']);
    await rewriter.mend();
    await expectLostAndFound(asked.id);
  });
});

describe('runs on at the source as if nothing had happened', () => {
  test('when the target cannot restore it', LIMIT, async () => {
    await rewriter.broken(shadow(rewriter.fleet.lab, 'host2', 'criu', '[ "$1" != lazy-pages ] || exit 1'));
    const { migration } = await migrate(rewriter.fleet, move());
    expect([migration.state, migration.message]).toEqual(['rolled-back', expect.any(String)]);
    await rewriter.mend();
    await expectStayed();
  });
});

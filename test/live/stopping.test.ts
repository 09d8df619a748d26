/**
 * Whatever stops a migration: somebody's cancel in any row before the decision, a CRIU that hangs, a process that nobody can
 * freeze, a worker or a coordinator that is told to end. The container runs on soon, one copy of it, with its connections.
 *
 * One container goes through all of it; wherever it is, it is moved to the other host.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CmtError, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { isAlive, labExec, listDaemons, signalDaemon } from '@cmt/lab';
import { follow, requestCancel } from '@cmt/queue';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import type { Observer } from '../../apps/lab/src/demo/observer.ts';
import { onceFrozen, onceRestoring, shadow, type Mend } from '../support/broken-tools.ts';
import { expectOneHistory, expectOnlyMoved, type Before } from '../support/expectations.ts';
import {
  atStartOf,
  migrate,
  migrateAnd,
  newId,
  reportOf,
  startFleet,
  type Fleet,
  type Move,
} from '../support/fleet.ts';
import { conversationGoesOn, type Peer } from '../support/peer.ts';
import { startWatched } from '../support/watched.ts';

const LIMIT = { timeout: 240_000 };
const id = 'stopped';
const tree = join(bundleOf(id), 'rootfs/data/tree');
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;
let here = 'host1';
const mends: Mend[] = [];

beforeAll(async () => {
  fleet = await startFleet('stopping');
  // Takes its time to be carried.
  const then = `mkdir -p ${tree} && cd ${tree} && seq 10000 | split -a 4 -l 1 - f`;
  ({ peer, before, witness } = await startWatched(fleet.lab, { id, host: here, memory: 64, then }));
}, 300_000);
afterAll(async () => {
  peer.kill();
  witness.kill();
  await fleet.stop();
}, 60_000);
afterEach(async () => {
  for (const mend of mends.splice(0)) await mend();
});

const there = (): string => (here === 'host1' ? 'host2' : 'host1');
const move = (...flags: string[]): Move => ({ id: newId(), container: id, from: here, to: there(), flags });

/** Everybody it talks with has noticed nothing but a pause, there was one copy all along, and nothing is left behind. */
async function expectWell(): Promise<void> {
  await conversationGoesOn(peer);
  const said = await peer.report();
  expect(said).toMatchObject({ connectionsLost: 0, called: { wrong: 0 }, served: { connections: 1 } });
  const { copies, intervals } = await witness.report();
  expect(copies, JSON.stringify(intervals)).toEqual({ maxRunningAtOnce: 1, minRunnable: 1 });
  await expectOneHistory(fleet.lab, id, here);
  await expectOnlyMoved(fleet.lab, before);
}

/** Milliseconds after the cancel at which something was told for the first time; undefined when it never was. */
async function cancelAt(asked: Move, row: string) {
  const told: MigrationEvent[] = [];
  let cancelledAt = Infinity;
  const watching = (async () => {
    await pause(500);
    for await (const event of follow(fleet.redis, asked.id, true, AbortSignal.timeout(120_000)))
      told.push(event);
  })();
  const isDue = (event: MigrationEvent): boolean => atStartOf(row)(event);
  const report = await migrateAnd(fleet, asked, isDue, async () => {
    cancelledAt = Date.now();
    await requestCancel(fleet.redis, asked.id, 'enough').catch(unlessTooLate);
  });
  await watching;
  const after = (which: (event: MigrationEvent) => boolean): number | undefined => {
    const event = told.find((each) => each.at >= cancelledAt && which(each));
    return event && event.at - cancelledAt;
  };
  return {
    report,
    story: told
      .map(({ at, host, kind, text, step }) => `${at - cancelledAt} ms ${host} ${kind} ${step} ${text}`)
      .join('\n'),
    undoBegan: after(({ kind, text }) => kind === 'state' && /rolling-back|cancelled/.test(text)),
    stopped: after(({ kind, step }) => kind === 'step-ended' && step === row),
    resumed: after(({ kind, step }) => kind === 'step-ended' && step === 'resume'),
    ended: after(({ kind, text }) => kind === 'state' && text === 'cancelled'),
  };
}

/** A short row may have made way for the decision. */
function unlessTooLate(error: unknown): void {
  if (!(error instanceof CmtError && error.failure.code === 'TOO_LATE_TO_CANCEL')) throw error;
}

/** Figures for whoever runs this with CMT_TEST_FIGURES=1. Milliseconds. */
const measured = (what: string, figures: object): void => {
  if (process.env['CMT_TEST_FIGURES'] === '1') process.stderr.write(`${what}: ${JSON.stringify(figures)}\n`);
};

/** Promised are 2 s; a machine that has several times its work to do at once needs longer for everything. Milliseconds. */
const EFFECT_MS = 5_000;
const RESUME_MS = 10_000;

describe('cmt cancel takes effect at once', () => {
  const SLEEPS = ['/bin/sleep', '60'].join(' ');
  const does = async (host: string, program: string, script: string): Promise<void> =>
    void mends.push(await shadow(fleet.lab, host, program, script));
  const hangs = (host: string, program: string, unless: string): Promise<void> =>
    does(host, program, `${unless} || exec sleep 60`);
  const rows: readonly (readonly [string, readonly string[], (() => Promise<void>) | null])[] = [
    ['inspect', [], () => hangs(here, 'runc', '[ "$3" != list ] && [ "$3" != state ]')],
    ['validate', [], () => hangs(there(), 'criu', '[ "$1" != cpuinfo ]')],
    ['sync-files', [], null],
    ['freeze-and-dump', [], null],
    ['final-sync', [], null],
    ['restore-and-hold', [], () => hangs(there(), 'criu', '[ "$1" != swrk ]')],
    ['restore-and-hold', [], () => does(there(), 'criu', onceRestoring('exec sleep 60'))],
    ['hook', ['--hook-pre-freeze', `@source ${SLEEPS}`], null],
    ['hook', ['--hook-pre-restore', `@target ${SLEEPS}`], null],
    ['hook', ['--hook-pre-restore', `@source /bin/sh -c "${SLEEPS}; true"`], null],
  ];
  test.each(rows)('in %s %j', LIMIT, async (row, flags, prepare) => {
    await prepare?.();
    const took = await cancelAt(move(...flags), row);
    measured(`cancel in ${row} ${flags.join(' ')}`, { ...took, report: undefined, story: undefined });
    // A short row may have made way for the decision before the cancel was there.
    if (took.report.state === 'done') here = there();
    else {
      expect(took.report.state, JSON.stringify(took.report.failure)).toBe('cancelled');
      expect(took.undoBegan, took.story).toBeLessThan(EFFECT_MS);
      expect(took.stopped ?? 0, took.story).toBeLessThan(EFFECT_MS);
      expect(took.resumed ?? 0, took.story).toBeLessThan(RESUME_MS);
    }
    for (const mend of mends.splice(0)) await mend();
    await expectWell();
  });

  test('and is refused with the reason once the target has the container', LIMIT, async () => {
    const asked = move('--confirm-for', '5s');
    const report = await migrateAnd(fleet, asked, atStartOf('confirm'), async () => {
      const cancel = requestCancel(fleet.redis, asked.id, 'too late');
      await expect(cancel).rejects.toThrow(/already belongs to the target/);
    });
    expect(report.state).toBe('done');
    here = there();
    await expect(requestCancel(fleet.redis, asked.id, 'too late')).rejects.toThrow(/it is done/);
    await expectWell();
  });
});

describe('a step that hangs is noticed and undone', () => {
  const SHORT = ['--step-timeout', '8s'];
  // Here nothing but what hangs is to meet the limit.
  beforeAll(async () => {
    await labExec(fleet.lab, here, ['rm', '-r', tree]);
  });
  const expectUndone = async (report: MigrationReport): Promise<void> => {
    expect(report.state, JSON.stringify(report.failure)).toBe('rolled-back');
    expect(report.failure?.code).toMatch(/^(STEP_TIMEOUT|FREEZE_FAILED|TRANSFER_BROKEN)$/);
    for (const mend of mends.splice(0)) await mend();
    await expectWell();
  };

  test.each([
    ['stopped by a signal, before the freeze', () => here, '[ "$1" != swrk ] || kill -STOP $$'],
    ['that does nothing for ever, before the freeze', () => here, '[ "$1" != swrk ] || exec sleep 600'],
    ['stopped by a signal, at the dump', () => here, onceFrozen(id, 'kill -STOP $$')],
    ['stopped by a signal, before the restore', there, '[ "$1" != swrk ] || kill -STOP $$'],
    ['stopped by a signal, at the restore', there, onceRestoring('kill -STOP $$')],
  ])('a criu %s', LIMIT, async (what, host, script) => {
    mends.push(await shadow(fleet.lab, host(), 'criu', script));
    const { migration } = await migrate(fleet, move(...SHORT));
    measured(`criu ${what}`, { total: migration.totalMs, steps: migration.steps });
    await expectUndone(migration);
  });

  test('a process in uninterruptible sleep that cannot be frozen', LIMIT, async () => {
    const { lab } = fleet;
    const on = here;
    // A filesystem whose server never answers: whoever asks it waits in the kernel (fuse(4)).
    const hang = [
      'mkdir -p /mnt/hung; exec 3<>/dev/fuse',
      'mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung /mnt/hung',
      `group=$(jq -r '.cgroup_paths[""]' /run/runc/${id}/state.json)`,
      'sh -c \'echo $$ > "$0/cgroup.procs"; exec 3>&-; exec stat /mnt/hung\' "$group" & echo $! > /run/hung.pid',
      'exec sleep 600',
    ].join('; ');
    const inHost = (script: string) => labExec(lab, on, ['sh', '-c', script]);
    let hung: ReturnType<typeof labExec> | undefined;
    mends.push(async () => {
      await inHost("kill -KILL $(cat /run/hung.pid); pkill -KILL -f '^sleep 600'; umount -l /mnt/hung");
      await hung;
      await inHost('rm -f /run/hung.pid; rmdir /mnt/hung');
    });
    // Only now: the preflight would see it and refuse.
    const report = await migrateAnd(fleet, move(...SHORT), atStartOf('sync-files'), async () => {
      hung = labExec(lab, on, ['sh', '-c', hang], { timeoutMs: 120_000 });
      while ((await inHost('grep -q "^State:.D" /proc/$(cat /run/hung.pid)/status')).code !== 0)
        await pause(20);
    });
    measured('uninterruptible', { total: report.totalMs, steps: report.steps });
    await expectUndone(report);
  });
});

describe('told to stop in the middle of the blackout', () => {
  async function workerOf(host: string) {
    const worker = (await listDaemons(fleet.lab, host)).find(
      ({ name, process }) => name === 'worker' && isAlive(process),
    );
    if (worker === undefined) throw new Error(`no worker on ${host}`);
    return worker;
  }
  const startAgain = async (): Promise<void> => {
    const { ok } = await fleet.cmt(['lab', 'up', '--name', fleet.lab.name], 90_000);
    expect(ok).toBe(true);
  };
  const frozen = async (host: string): Promise<boolean> => {
    const { stdout } = await labExec(fleet.lab, host, ['runc', 'state', id]);
    return stdout.includes('"status": "paused"');
  };
  const endsWell = async (asked: Move): Promise<void> => {
    const report = await reportOf(fleet, asked.id);
    expect(['done', 'rolled-back'], JSON.stringify(report.failure)).toContain(report.state);
    if (report.state === 'done') here = there();
    await expectWell();
  };

  test.each([
    ['source', 'freeze-and-dump'],
    ['target', 'restore-and-hold'],
    ['target', 'release'],
  ] as const)('the worker of the %s, at %s', LIMIT, async (side, row) => {
    const asked = move();
    const [from, victim] = [here, side === 'source' ? here : there()];
    const worker = await workerOf(victim);
    await migrateAnd(fleet, asked, atStartOf(row), async () => {
      signalDaemon(worker, 'SIGTERM');
      while (isAlive(worker.process)) await pause(20);
      // Frozen it may stand only while the other copy runs.
      if (await frozen(from)) expect(await fleet.redis.get(`{cmt}:decision:${asked.id}:1`)).toBe('COMMIT');
      await startAgain();
    });
    await endsWell(asked);
  });

  test('a worker, twice: it ends at once, and settles it at the next start', LIMIT, async () => {
    const asked = move();
    const worker = await workerOf(here);
    await migrateAnd(fleet, asked, atStartOf('freeze-and-dump'), async () => {
      signalDaemon(worker, 'SIGTERM');
      await pause(50);
      signalDaemon(worker, 'SIGTERM');
      while (isAlive(worker.process)) await pause(5);
      await startAgain();
    });
    await endsWell(asked);
  });

  test('the coordinator', LIMIT, async () => {
    const asked = move();
    const stat = await readFile(join(fleet.stateDir, 'coordinator.pid'), 'utf8');
    await migrateAnd(fleet, asked, atStartOf('freeze-and-dump'), async () => {
      const pid = Number(stat.split(' ')[0]);
      process.kill(pid, 'SIGTERM');
      while (existsSync(`/proc/${pid}`)) await pause(20);
      await startAgain();
    });
    await endsWell(asked);
  });
});

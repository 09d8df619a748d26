/** Whatever fails before the decision: the container runs on where it was, with its connections, and nothing is left behind. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cutLink, hostOf, labExec, restoreLink } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { refuseTransfers, shadow, takeAway, untilSent, type Mend } from '../support/broken-tools.ts';
import {
  expectNothingBehind,
  expectOneCopy,
  expectOneHistory,
  expectOnlyMoved,
  type Before,
} from '../support/expectations.ts';
import {
  atStartOf,
  migrate,
  migrateAnd,
  newId,
  startFleet,
  type Fleet,
  type Move,
} from '../support/fleet.ts';
import { logLines } from '../support/log-lines.ts';
import { conversationGoesOn, type Peer } from '../support/peer.ts';
import { startWatched } from '../support/watched.ts';
import { ask, holdOpen, startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 150_000 };
/** Bytes: of the 160 MiB that the container has. */
const MIDDLE = 40 << 20;
const UNREACHABLE = /^(TRANSFER_BROKEN|PEER_UNREACHABLE|SESSION_LOST)$/;
const id = 'moved';
let fleet: Fleet;
let peer: Peer;
let witness: Observer<CopiesReport>;
let before: Before;
let hooksDir: string;
let mend: Mend | undefined;

beforeAll(async () => {
  fleet = await startFleet('fail');
}, 300_000);
afterAll(() => fleet.stop(), 60_000);

beforeEach(async () => {
  hooksDir = await mkdtemp(join(tmpdir(), 'cmt-hooks-'));
  // Memory enough for a transfer that can be met in the middle.
  ({ peer, before, witness } = await startWatched(fleet.lab, { id, host: 'host1', memory: 160 }));
}, 60_000);

afterEach(async () => {
  await mend?.();
  mend = undefined;
  peer.kill();
  witness.kill();
  for (const { name } of fleet.lab.hosts) await removeContainer(fleet.lab, name, id);
  await rm(hooksDir, { recursive: true, force: true });
});

const moves: string[] = [];
function move(...flags: string[]): Move {
  const migration = newId();
  moves.push(migration);
  return { id: migration, container: id, from: 'host1', to: 'host2', flags };
}

/** It runs on host1, everybody it talks with has noticed nothing but a pause, and both hosts are as before. */
async function expectUntouched(): Promise<void> {
  await conversationGoesOn(peer);
  const said = await peer.report();
  expect(said).toMatchObject({ connectionsLost: 0, called: { wrong: 0 }, served: { connections: 1 } });
  expect(await ask(fleet.lab, 'host1', id, 'state')).toMatchObject({ calls: { wrong: 0, lost: null } });
  await expectOneCopy(witness);
  await expectOneHistory(fleet.lab, id, 'host1');
  await expectNothingBehind(fleet.lab, before);
}

describe('the source runs on untouched', () => {
  test('when the target has no runc', LIMIT, async () => {
    mend = await takeAway(fleet.lab, 'host2', '/usr/sbin/runc');
    const { code, migration } = await migrate(fleet, move());
    expect([migration.state, code]).toEqual(['refused', 3]);
    await mend();
    mend = undefined;
    await expectUntouched();
  });

  test('when the source has lost its runc', LIMIT, async () => {
    mend = await takeAway(fleet.lab, 'host1', '/usr/sbin/runc');
    const { code, migration } = await migrate(fleet, move());
    await mend();
    mend = undefined;
    expect([migration.state, code, migration.failure?.code]).toEqual(['refused', 3, 'TOOL_MISSING']);
    expect(migration.message).toMatch(/^runc cannot be started on host1: /);
    await expectUntouched();
  });

  test('when the target has a container of that name', LIMIT, async () => {
    await startWorkload(fleet.lab, 'host2', { id, program: 'counter', net: { kind: 'none' } });
    const { code, migration } = await migrate(fleet, move());
    expect([migration.state, code]).toEqual(['refused', 3]);
    expect(migration.findings.map((finding) => finding.code)).toContain('NAME_TAKEN');
    expect(await ask(fleet.lab, 'host2', id, 'state')).toBeTruthy();
    await removeContainer(fleet.lab, 'host2', id);
    // The one so far has seen both of them run.
    witness.kill();
    witness = await startWitness(fleet.lab, id);
    await expectUntouched();
  });

  test('when CRIU refuses to dump', LIMIT, async () => {
    let held: Awaited<ReturnType<typeof holdOpen>> | undefined;
    const report = await migrateAnd(fleet, move(), atStartOf('sync-files'), async () => {
      held = await holdOpen(fleet.lab, 'host1', id);
    });
    held?.destroy();
    expect(report.state).toBe('rolled-back');
    expect(report.failure?.code, JSON.stringify(report.failure)).toMatch(/^DUMP_(REFUSED|FAILED)$/);
    await expectUntouched();
  });

  test('when the transfer is cut in the middle and cannot be taken up again', LIMIT, async () => {
    const report = await migrateAnd(fleet, move(), atStartOf('freeze-and-dump'), async () => {
      await untilSent(fleet.lab, 'host1', MIDDLE);
      mend = await refuseTransfers(fleet.lab, 'host2');
    });
    expect([report.state, report.failure?.code]).toEqual(['rolled-back', expect.stringMatching(UNREACHABLE)]);
    await mend?.();
    mend = undefined;
    await expectUntouched();
  });

  test('when the restore fails', LIMIT, async () => {
    mend = await shadow(fleet.lab, 'host2', 'criu', '[ "$1" != swrk ] || exit 1');
    const { code, migration } = await migrate(fleet, move());
    expect([migration.state, code]).toEqual(['rolled-back', 4]);
    expect(migration.failure?.code).toMatch(/^RESTORE_/);
    await mend();
    mend = undefined;
    await expectUntouched();
  });

  test('when the pre-restore hook fails, and the hooks for that are run', LIMIT, async () => {
    const [failed, rolledBack] = [join(hooksDir, 'failed'), join(hooksDir, 'rolled-back')];
    const { code, migration } = await migrate(
      fleet,
      move(
        ...['--hook-pre-restore', '/bin/false', '--hook-failed-restore', `/usr/bin/touch ${failed}`],
        ...['--hook-rolled-back', `/usr/bin/touch ${rolledBack}`],
      ),
    );
    expect([migration.state, code, migration.failure?.code]).toEqual(['rolled-back', 4, 'HOOK_FAILED']);
    expect([existsSync(failed), existsSync(rolledBack)]).toEqual([true, true]);
    await expectUntouched();
  });

  test.each(['sync-files', 'freeze-and-dump'])('when it is cancelled at %s', LIMIT, async (row) => {
    const asked = move();
    const report = await migrateAnd(fleet, asked, atStartOf(row), async () => {
      const { ok, error } = await fleet.cmt(['cancel', asked.id], 20_000);
      expect([ok, error]).toEqual([true, undefined]);
    });
    expect([report.state, report.failure?.code]).toEqual(['cancelled', 'CANCELLED']);
    await expectUntouched();
  });
});

describe('the migration goes on', () => {
  test.each([
    ['every connection between the hosts is reset', ['ss', '-K', 'dst', 'HOST2'], 0],
    ['the target is cut off for a while', [], 5000],
  ] as const)('when %s in the middle of the transfer', LIMIT, async (_, kill, cutMs) => {
    const { lab } = fleet;
    const report = await migrateAnd(fleet, move(), atStartOf('freeze-and-dump'), async () => {
      await untilSent(lab, 'host1', MIDDLE);
      const argv = kill.map((word) => (word === 'HOST2' ? hostOf(lab, 'host2').address : word));
      if (argv.length > 0) await labExec(lab, 'host1', argv);
      if (cutMs > 0) {
        await cutLink(lab, 'host2');
        await pause(cutMs);
        await restoreLink(lab, 'host2');
      }
    });
    expect([report.state, report.message]).toEqual(['done', null]);
    await conversationGoesOn(peer);
    expect(await peer.report()).toMatchObject({ connectionsLost: 0, called: { wrong: 0 } });
    await expectOneCopy(witness);
    await expectOneHistory(lab, id, 'host2');
    await expectOnlyMoved(lab, before);
  });
});

describe('the logs', () => {
  /** About the process, and no migration: one of the hosts was cut off from Redis, too. */
  const OF_THE_PROCESS = ['ready', 'Redis is away', 'this host could not be announced'];

  test('name the migration on each of their lines', async () => {
    const lines = await logLines(fleet);
    const nameless = lines.filter(
      ({ msg, migration }) => migration === undefined && !OF_THE_PROCESS.includes(msg),
    );
    expect(nameless).toEqual([]);
    const named = (process: string) =>
      new Set(lines.flatMap((line) => (line.process === process ? (line.migration ?? []) : [])));
    expect([...named('coordinator')].sort()).toEqual([...moves].sort());
    expect([...named('worker')].sort()).toEqual([...moves].sort());
    // What a line says of one is not said under the name of another.
    for (const { migration, ...rest } of lines)
      for (const other of moves)
        if (other !== migration) expect(JSON.stringify(rest)).not.toMatch(new RegExp(`\\b${other}\\b`));
  });
});

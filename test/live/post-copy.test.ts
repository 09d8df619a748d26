/** Pages follow a container from its frozen source while it runs; and what becomes of it when they stop coming. */
import { labExec } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { refuseTransfers, shadow, type Mend } from '../support/broken-tools.ts';
import {
  expectNothingBehind,
  expectOneCopy,
  expectOneHistory,
  expectOnlyMoved,
  lookAtHosts,
  type Before,
} from '../support/expectations.ts';
import { atStartOf, crash, migrate, migrateAnd, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { ask, startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 240_000 };
/** 256 MiB, rewritten all along. */
const PAGES = 65_536;
const VERIFY_MS = 90_000;
/** At which the pages take long enough to be met on their way. */
const SLOWLY = ['--bandwidth', '24MiB/s'];
const id = 'followed';
let fleet: Fleet;
let witness: Observer<CopiesReport>;
let before: Before;
let mend: Mend | undefined;

beforeAll(async () => {
  fleet = await startFleet('post');
}, 300_000);
afterAll(() => fleet.stop(), 60_000);

beforeEach(async () => {
  const { lab } = fleet;
  await startWorkload(lab, 'host1', { id, program: 'memory', net: { kind: 'none' }, args: [String(PAGES)] });
  before = await lookAtHosts(lab);
  witness = await startWitness(lab, id);
}, 60_000);

afterEach(async () => {
  await mend?.();
  mend = undefined;
  witness.kill();
  for (const { name } of fleet.lab.hosts) await removeContainer(fleet.lab, name, id);
});

const move = (...flags: string[]) => ({
  ...{ id: newId(), container: id, from: 'host1', to: 'host2' },
  flags: ['--mode', 'post-copy', ...flags],
});

async function inHost(host: string, script: string): Promise<string> {
  return (await labExec(fleet.lab, host, ['sh', '-c', script])).stdout.trim();
}

/** Kills the one process of a host that is called so. */
async function killThe(host: string, pattern: string): Promise<void> {
  const pids = await inHost(host, `pgrep -f '${pattern}'`);
  expect(pids).toMatch(/^\d+$/);
  await inHost(host, `kill -KILL ${pids}`);
}
const SERVER = '^criu: dump ';
const DAEMON = '^[^ ]*criu lazy-pages ';
const CARRIER = '[i]mage-carrier.js pages$';

const outcomeOf = ({ state, failure }: { state: string; failure: { code: string } | null }) => [
  state,
  failure?.code ?? null,
];

async function expectAllMemory(host: string): Promise<void> {
  const verified = await ask(fleet.lab, host, id, 'verify', VERIFY_MS);
  expect(verified).toMatchObject({ pages: PAGES, bad: 0 });
}

async function expectMoved(): Promise<void> {
  await expectAllMemory('host2');
  await expectOneHistory(fleet.lab, id, 'host2');
  await expectOneCopy(witness);
  await expectOnlyMoved(fleet.lab, before);
}

async function expectStayed(): Promise<void> {
  await expectAllMemory('host1');
  await expectOneHistory(fleet.lab, id, 'host1');
  await expectOneCopy(witness);
  await expectNothingBehind(fleet.lab, before);
}

/** The copy is dead, the source stands as it was at the switch, and runs on by an operator's word alone. */
async function expectLostAndFound(migration: string): Promise<void> {
  expect(await inHost('host1', `runc state ${id} | jq -r .status`)).toBe('paused');
  expect(await inHost('host2', `runc state ${id} | jq -r .status`)).not.toBe('running');
  await expectOneCopy(witness);
  const resolved = await fleet.cmt(
    ['resolve', migration, '--fenced', 'host2', '--confirm', 'host2', '--even-though-online'],
    120_000,
  );
  expect([resolved.migration?.state, resolved.error?.code]).toEqual(['rolled-back', 'RESOLVED']);
  await expectAllMemory('host1');
  expect(await inHost('host2', `pgrep -fc '${DAEMON}|${CARRIER}' || true`)).toBe('0');
}

describe('a container of 256 MiB that rewrites its memory all along', () => {
  test('runs before its pages have come, and has them all in the end', LIMIT, async () => {
    const { migration } = await migrate(fleet, move());
    expect(outcomeOf(migration)).toEqual(['done', null]);
    expect(migration.bytesSent ?? 0).toBeLessThan(64 << 20);
    await expectMoved();
  });

  test('does not depend on the workers', LIMIT, async () => {
    const report = await migrateAnd(fleet, move(...SLOWLY), atStartOf('confirm'), async () => {
      await crash(fleet, { worker: 'host1' });
      await crash(fleet, { worker: 'host2' });
      expect(await inHost('host2', `pgrep -fc '${DAEMON}'`)).toBe('1');
    });
    expect(outcomeOf(report)).toEqual(['done', null]);
    await expectMoved();
  });
});

describe('is killed before it reads a page that is missing, and stands frozen at the source,', () => {
  test.each([
    ['the source no longer serves', () => killThe('host1', SERVER)],
    ['the daemon of the target dies', () => killThe('host2', DAEMON)],
    ['the carrier of the source dies', () => killThe('host1', CARRIER)],
    [
      'the link breaks',
      async () => {
        mend = await refuseTransfers(fleet.lab, 'host2');
      },
    ],
  ])('when %s', LIMIT, async (_, breakIt) => {
    const asked = move(...SLOWLY);
    const report = await migrateAnd(fleet, asked, atStartOf('confirm'), breakIt);
    expect(outcomeOf(report)).toEqual(['needs-operator', 'LAZY_PAGES_LOST']);
    await mend?.();
    mend = undefined;
    await expectLostAndFound(asked.id);
  });
});

describe('runs on at the source as if nothing had happened', () => {
  test('when the target cannot restore it', LIMIT, async () => {
    mend = await shadow(fleet.lab, 'host2', 'criu', '[ "$1" != lazy-pages ] || exit 1');
    const { migration } = await migrate(fleet, move());
    expect(migration.state).toBe('rolled-back');
    await mend();
    mend = undefined;
    await expectStayed();
  });
});

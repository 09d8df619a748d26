/** A fleet in which everything happens that the board shows, for its tests and for the pictures in the documentation. */
import { messageOf, remedyOf, type Failure, type HostRecord } from '@cmt/contracts';
import type { Act, BoardWorld, Scene } from './board-world.ts';
import { hostRecord } from './host-record.ts';

/** Nobody may read this on the board. */
export const SECRET = 'hunter2-printed-by-a-hook';

const record = (name: string, address: string, ids: readonly string[], memory: number): HostRecord => {
  const base = hostRecord(name, address, ids);
  const facts = {
    ...base.facts,
    memoryTotal: 33.5e9,
    memoryAvailable: memory * 1e9,
    cpus: 8,
    imagesFree: 12e9,
  };
  return { ...base, facts, labels: { zone: address.includes('.1.') ? 'a' : 'b' }, seenAt: Date.now() };
};

export const act = (step: Act['step'], host: string, ms: number, more: Partial<Act> = {}): Act => ({
  ...{ step, host, ms },
  ...more,
});

/** Rows before the blackout. */
const before = (from: string, to: string): Act[] => [
  act('inspect', from, 80),
  act('validate', to, 60),
  act('prepare', to, 50),
  act('sync-files', from, 260),
];

const blackout = (from: string, to: string): Act[] => [
  act('freeze-and-dump', from, 140, { beside: act('restore-and-hold', to, 330) }),
  act('final-sync', from, 40),
  act('release', to, 50),
];

const failed = (failure: Failure) => ({ failure, message: messageOf(failure), remedy: remedyOf(failure) });

/** Goes well. */
export const wellDone = (id: string, container: string, from = 'alpha', to = 'beta'): Scene => ({
  ...{ id, container, from, to },
  acts: [
    ...before(from, to),
    ...blackout(from, to),
    act('confirm', to, 250),
    act('retire', from, 70),
    act('clean', to, 20, { beside: act('clean', from, 25) }),
  ],
  end: {
    ...{ state: 'done', decision: 'COMMIT', blackoutMs: 402, bytesSent: 18_400_000 },
    ...{ roundsNote: `no pre-dump rounds: the kernel of ${from} does not track dirty pages` },
    blackout: {
      ...{ totalMs: 402, pauseMs: 58, dumpMs: 112, transferMs: 31, filesMs: 42, restoreMs: 144 },
      ...{ criuMs: 176, ownMs: 15 },
    },
  },
});

/** Its restore fails, it is rolled back; a hook has printed what nobody should see. */
export const rolledBack = (id: string, container: string): Scene => ({
  ...{ id, container },
  options: {
    hooks: [{ name: 'rolled-back', place: 'coordinator', argv: ['/opt/tell', SECRET], timeoutMs: 30_000 }],
  },
  acts: [
    ...before('alpha', 'beta'),
    act('freeze-and-dump', 'alpha', 150, {
      beside: act('restore-and-hold', 'beta', 210, { fails: 'The restore failed.' }),
    }),
    act('discard', 'beta', 60),
    act('resume', 'alpha', 45),
    act('clean', 'alpha', 20),
  ],
  end: {
    ...{ state: 'rolled-back', decision: 'ABORT' },
    ...failed({
      code: 'RESTORE_FAILED',
      details: { container, host: 'beta', reason: 'no such mount /srv/data', log: 'restore.log' },
      log: 'Error (criu/mount.c:3421): mnt: No such mount /srv/data',
    }),
    hooks: [{ name: 'rolled-back', ok: true, code: 0, output: SECRET, ms: 12 }],
  },
  hooks: [{ step: 'rolled-back', text: `rolled-back ended well: ${SECRET}` }],
});

/** A hook fails, and its output is part of the failure. */
export const hookFailed = (id: string, container: string): Scene => ({
  ...{ id, container },
  acts: before('alpha', 'beta'),
  end: {
    state: 'rolled-back',
    ...failed({ code: 'HOOK_FAILED', details: { hook: 'pre-freeze', code: 3, output: SECRET }, log: SECRET }),
    hooks: [{ name: 'pre-freeze', ok: false, code: 3, output: SECRET, ms: 9 }],
  },
  hooks: [{ step: 'pre-freeze', text: `pre-freeze failed: ${SECRET}` }],
});

/** Nobody may decide alone. */
export const stuck = (id: string, container: string): Scene => ({
  ...{ id, container, from: 'beta', to: 'gamma' },
  acts: [...before('beta', 'gamma'), act('freeze-and-dump', 'beta', 90)],
  end: {
    state: 'needs-operator',
    ...failed({ code: 'UNDECIDED', details: { container, host: 'gamma', source: 'beta', target: 'gamma' } }),
  },
});

/** Stays in the middle of its file transfer until told. */
export const underWay = (id: string, container: string, until: Promise<unknown>): Scene => ({
  ...{ id, container, from: 'gamma', to: 'alpha' },
  acts: [
    act('inspect', 'gamma', 70),
    act('validate', 'alpha', 40),
    act('prepare', 'alpha', 40),
    act('sync-files', 'gamma', 0, { until }),
  ],
  end: { state: 'cancelled', ...failed({ code: 'CANCELLED', details: { reason: 'the test is over' } }) },
});

/** Everything at once; `until` keeps the last one under way. */
export async function showFleet(world: BoardWorld, until: Promise<unknown>): Promise<void> {
  await world.announce(record('alpha', '10.0.1.11', ['web', 'db', 'mail'], 9.2));
  await world.announce(record('beta', '10.0.1.12', ['cache', 'search'], 21.7));
  await world.announce(record('gamma', '10.0.2.13', ['queue'], 2.1));
  const scenes = [wellDone('m-web', 'web'), rolledBack('m-frail', 'db'), hookFailed('m-hook', 'mail')];
  for (const scene of [...scenes, stuck('m-stuck', 'search')]) {
    await world.play(scene);
    await world.ended(scene.id);
  }
  await world.play(underWay('m-now', 'queue', until));
}

/**
 * Commands that come too late, and workers that were taken over and do not know it yet: 1,000 random tries of each change
 * nothing, neither on a host (real journal, real steps, a paper runtime) nor in the queue (real Redis).
 */
import type { ContainerNetwork, Phase, StepName } from '@cmt/contracts';
import fc from 'fast-check';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import type { StepContext } from '../../libs/host/src/context.ts';
import type { JournalEntry } from '../../libs/host/src/journal.ts';
import { journalDir } from '../../libs/host/src/places.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import { LOCK_TIMING } from '@cmt/queue';
import { openHostQueue } from '../../libs/queue/src/leg-job.ts';
import { aWorld, oneLeg, recorder, submit, isDone } from '../support/queue-faults.ts';
import { promised } from '../support/queue-world.ts';
import type { PaperHost } from '../support/paper-host.ts';
import { container, inputs, on, useTwoHosts } from '../support/two-hosts.ts';

const TRIES = 1000;
const hosts = useTwoHosts();

type Word = Exclude<StepName, 'hook' | 'inspect' | 'validate' | 'doctor'>;

/** Of an older epoch every step that may change something is late. */
const WORDS: readonly Word[] = [
  ...(['prepare', 'sync-files', 'pre-dump', 'freeze-and-dump', 'final-sync', 'restore-and-hold'] as const),
  ...(['release', 'confirm', 'retire', 'discard', 'resume', 'clean'] as const),
];

/** Within the epoch of the journal: what a phase has put an end to, or what its decision does not allow. */
const LATE: Partial<Record<Phase, readonly Word[]>> = {
  FROZEN: ['resume', 'retire', 'clean'],
  RESUMED: ['sync-files', 'pre-dump', 'freeze-and-dump', 'final-sync', 'retire'],
  RETIRED: ['sync-files', 'pre-dump', 'freeze-and-dump', 'resume'],
  DISCARDED: ['prepare', 'restore-and-hold', 'release', 'confirm'],
  COMMITTED: ['prepare', 'discard'],
  RUNNING: ['prepare', 'discard'],
};
const PHASES: readonly Phase[] = [
  ...(['SENDING', 'FROZEN', 'RETIRED', 'RESUMED', 'PREPARED', 'HELD', 'COMMITTED'] as const),
  ...(['RUNNING', 'DISCARDED'] as const),
];
const isOfSource = (phase: Phase): boolean => ['SENDING', 'FROZEN', 'RETIRED', 'RESUMED'].includes(phase);

/** What is not refused answers how things stand already. */
const REFUSALS = ['STALE_EPOCH', 'NOT_ABORTED', 'UNDECIDED'];
const STANDING = [{ decision: 'ABORT' }, { decision: 'COMMIT' }, { wasFrozen: true }];

const aTry = fc.oneof(
  fc.record({
    phase: fc.constantFrom(...PHASES),
    word: fc.constantFrom(...WORDS),
    epoch: fc.integer({ min: 2, max: 9 }),
    behind: fc.integer({ min: 1, max: 8 }),
    closed: fc.boolean(),
  }),
  fc
    .constantFrom(...Object.entries(LATE).flatMap(([phase, words]) => words.map((word) => ({ phase, word }))))
    .map(({ phase, word }) => ({ phase: phase as Phase, word, epoch: 3, behind: 0, closed: false })),
);

const network: ContainerNetwork = { kind: 'none' };

/** Runs one step as a leg would. */
function perform(word: Word, host: PaperHost, context: StepContext): Promise<unknown> {
  const its = inputs(hosts().source, hosts().target);
  const plain = { subject: on(host), network };
  switch (word) {
    case 'prepare':
      return steps.prepare(its.prepare, context);
    case 'sync-files':
      return steps['sync-files'](its.syncFiles, context);
    case 'pre-dump':
      return steps['pre-dump'](
        { ...its.syncFiles, round: 1, tcp: 'established', carry: false, memory: 0 },
        context,
      );
    case 'freeze-and-dump':
      return steps['freeze-and-dump'](its.freeze, context);
    case 'final-sync':
      return steps['final-sync'](its.finalSync, context);
    case 'restore-and-hold':
      return steps['restore-and-hold'](its.hold, context);
    case 'confirm':
      return steps.confirm({ subject: on(host), confirmForMs: 0 }, context);
    case 'clean':
      return steps.clean(
        { ...plain, side: host === hosts().source ? 'source' : 'target', outcome: 'stayed' },
        context,
      );
    default:
      return steps[word](plain, context);
  }
}

/** All that a command could have changed. */
const everything = async (host: PaperHost, migration: string): Promise<unknown> => ({
  entry: await host.journal.read(migration),
  containers: await host.runtime.list(),
  runs: await host.runtime.executes(container),
  network: [...host.network.state],
  images: await host.images(),
  decisions: [...hosts().decisions.made],
});

test(`a late command changes nothing: ${TRIES} of them`, { timeout: 60_000 }, async () => {
  await hosts().target.runtime.run(container, on(hosts().target).bundle);
  let made = 0;
  let acceptedCommands = 0;
  const attempt = fc.asyncProperty(aTry, async ({ phase, word, epoch, behind, closed }) => {
    const host = isOfSource(phase) ? hosts().source : hosts().target;
    const migration = `late-${(made += 1)}`;
    const side = isOfSource(phase) ? 'source' : 'target';
    const entry: JournalEntry = {
      ...{ v: 1, migration, epoch, side, phase, runtime: 'runc', container, bundle: on(host).bundle },
      ...{ peer: side === 'source' ? 'b' : 'a', network, bundleExisted: true, restore: null, closed },
      ...{ restoreOrderedAt: null, frozenAt: phase === 'SENDING' ? null : 5, updatedAt: Date.now() },
    };
    // As the journal keeps it, without waiting for the disk.
    const file = join(journalDir(host.parts.config), `${migration}.json`);
    await writeFile(file, JSON.stringify(entry));
    const before = await everything(host, migration);
    const context = { ...host.context(Math.max(1, epoch - behind)), migration };
    const outcome = await perform(word, host, context).catch((error: unknown) => error);
    expect(await everything(host, migration)).toEqual(before);
    if (!isRefusal(outcome) && (behind > 0 || !isStanding(outcome))) acceptedCommands += 1;
    expect(acceptedCommands, `${word} at ${phase}: ${JSON.stringify(outcome)}`).toBe(0);
    await rm(file);
  });
  await fc.assert(attempt, { numRuns: TRIES, endOnFailure: true });
  expect(made).toBe(TRIES);
});

const isRefusal = (outcome: unknown): boolean =>
  outcome instanceof Error &&
  'failure' in outcome &&
  REFUSALS.includes((outcome.failure as { code: string }).code);
const isStanding = (outcome: unknown): boolean =>
  STANDING.some((standing) =>
    Object.entries(standing).every(([key, value]) => (outcome as Record<string, unknown>)[key] === value),
  );

/** BullMQ refuses by an error, or by a 0 for a lock. */
const isAccepted = (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    (answer) => answer !== 0,
    () => false,
  );

describe('a worker that has lost its leg', () => {
  it(`can neither end it nor keep it: ${TRIES} tries of each`, { timeout: 60_000 }, async (context) => {
    const world = await aWorld(context);
    const enough = promised();
    const legs = recorder(() => enough.promise);
    world.worker('alpha', legs.run, { timing: LOCK_TIMING });
    oneLeg(world, { timing: LOCK_TIMING });
    await submit(world, 'm1');
    await legs.began;
    const queue = openHostQueue(world.connection(), 'alpha');
    const job = await queue.getJob('m1_inspect.1.1');
    if (job === undefined) throw new Error('the leg is not in its queue');
    const stale = {
      v: 1,
      results: [{ ok: false, step: 'inspect', failure: { code: 'INTERNAL', details: {} }, ms: 0 }],
    };
    const accepted: boolean[] = [];
    // One after the other: the present worker is in this process, and has its lock to renew.
    for (let n = 0; n < TRIES; n += 1) {
      const token = `past-${n}`;
      accepted.push(
        await isAccepted(job.moveToCompleted(stale, token, false)),
        await isAccepted(job.moveToFailed(new Error('stale'), token, false)),
        await isAccepted(job.extendLock(token, 60_000)),
      );
    }
    expect(accepted.filter(Boolean)).toEqual([]);
    enough.keep();
    await isDone(world, 'm1');
    expect((await queue.getJob('m1_inspect.1.1'))?.returnvalue).toMatchObject({ results: [{ ok: true }] });
    expect(legs.runs).toHaveLength(1);
    await queue.close();
  });
});

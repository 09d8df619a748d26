/**
 * The target's copy of a container: ordered, restored, held behind its gate.
 *
 * INVARIANTS
 * - That a restore was ordered, and when, is journalled before CRIU is started: whatever exists afterwards is found again.
 * - A restore that did not come as far as its gate leaves nothing behind.
 * - A copy whose memory follows it counts as held only when its pages are guarded: whoever loses them kills it first.
 */
import { join } from 'node:path';
import type { StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { criuConfigText } from '../criu/config.ts';
import type { JournalEntry } from '../journal.ts';
import type { ArmedLazyPages } from '../criu/lazy-pages.ts';
import { gateDir, imagesDir, lazyDir, logDir, notesDir } from '../places.ts';
import type { ArmedRestore, RestorePlan, RestoreUnderWay } from '../runtimes/runtime.ts';
import type { PageStream } from '../transports/page-stream.ts';
import { removeCopy } from './copy-end.ts';
import { record } from './entry.ts';
import { restoresOf } from './restores.ts';

export interface OrderedRestore {
  readonly entry: JournalEntry;
  readonly plan: RestorePlan;
  readonly armed: ArmedRestore;
  /** What will fill its memory while it runs; null when the restore itself does. */
  readonly pages: ArmedLazyPages | null;
}

type Order = Pick<StepInput<'restore-and-hold'>, 'subject' | 'network' | 'tcp' | 'lazy'>;

/**
 * Makes gate and directories, journals the order and readies the restore. Nothing of it needs to happen inside the blackout.
 * @param follow where pages come from that the images lack; the daemon's from here on
 */
export async function orderRestore(
  entry: JournalEntry,
  { subject, network, tcp, lazy }: Order,
  context: StepContext,
  follow: PageStream | null = null,
): Promise<OrderedRestore> {
  const { config, migration, epoch, machine } = context;
  const { files, gates, clock } = machine;
  const gate = gateDir(config, migration, epoch);
  const work = logDir(config, migration, epoch, 'restore');
  const directory = lazyDir(config, migration, epoch);
  // Also what an earlier restore said about its pages: this one's are others.
  await Promise.all([gate, work, directory].map((path) => files.removeTree(path)));
  await Promise.all([files.makeDirectory(gate), files.makeDirectory(work)]);
  const criuConfig = join(notesDir(config, migration, epoch), 'restore.conf');
  const { actionScript } = await gates.prepare(gate, {
    loopback: network.kind === 'none' && network.netns === undefined,
  });
  const text = criuConfigText({ tcp, actionScript, fenced: network.kind !== 'host' });
  await files.writeText(criuConfig, text);
  const images = join(imagesDir(config, migration, epoch), 'final');
  const ordered = await record('restore-and-hold', context, { ...entry, restoreOrderedAt: clock.now() });
  const postCopy = follow !== null;
  const plan = { bundle: subject.bundle, images, work, tcp, criuConfig, lazyPages: lazy, postCopy };
  const pages = lazy ? await machine.lazyPages.arm({ directory, gate, images, work, pages: follow }) : null;
  const armed = await context.runtimes.get(entry.runtime).armRestore(entry.container, plan, context.signal);
  return { entry: ordered, plan, armed, pages };
}

/**
 * Starts the restore and resolves when the copy is complete and held, not one instruction run.
 * @throws CmtError RESTORE_FAILED, RESTORE_REFUSED; nothing of the copy is left then
 */
export async function restoreUntilHeld(
  { entry, plan, armed, pages }: OrderedRestore,
  context: StepContext,
): Promise<JournalEntry> {
  let started = entry;
  try {
    await pages?.serve();
    const restore = await armed.begin();
    restoresOf(context.journal).set(entry.migration, restore);
    started = { ...entry, restore: { pid: restore.pid, startTime: restore.startTime } };
    const held = heldOrFailed(started, restore, plan, context);
    const [known] = await Promise.all([record('restore-and-hold', context, started), held]);
    if (pages !== null) await guardPages(entry, context);
    return known;
  } catch (error) {
    await armed.leave();
    await removeCopy(started, context);
    throw error;
  }
}

async function guardPages(entry: JournalEntry, { config, machine, runtimes }: StepContext): Promise<void> {
  const cgroup = await runtimes.get(entry.runtime).cgroup(entry.container);
  if (cgroup === null) throw new Error(`${entry.container} has no cgroup2 that could be killed as one`);
  await machine.lazyPages.guardCopy(lazyDir(config, entry.migration, entry.epoch), cgroup);
}

async function heldOrFailed(
  entry: JournalEntry,
  restore: RestoreUnderWay,
  plan: RestorePlan,
  context: StepContext,
): Promise<void> {
  const { machine } = context;
  const stop = new AbortController();
  const failed = restore.ended.then(async () => {
    if (stop.signal.aborted) return;
    throw await machine.criu.explainRestore(plan.work, {
      host: context.config.name,
      container: entry.container,
    });
  });
  failed.catch(() => undefined);
  const signal = AbortSignal.any([context.signal, stop.signal]);
  try {
    await Promise.race([
      machine.gates.waitHeld(gateDir(context.config, entry.migration, entry.epoch), signal),
      failed,
    ]);
  } finally {
    stop.abort();
  }
}

/** Whether the copy of this entry is complete and held at this moment. */
export async function isHeld(entry: JournalEntry, { config, machine }: StepContext): Promise<boolean> {
  const { processes, gates } = machine;
  if (entry.restore === null || !(await processes.isAlive(entry.restore))) return false;
  const pages = await machine.lazyPages.state(lazyDir(config, entry.migration, entry.epoch));
  if (pages === 'lost' || pages === 'abandoned') return false;
  return (await gates.state(gateDir(config, entry.migration, entry.epoch))) === 'held';
}

/**
 * Step `release`: the decision is made if nobody has, written down, and the copy runs. The blackout ends.
 *
 * INVARIANTS
 * - The gate opens only with COMMITTED of this epoch in the journal, and that is written only on a COMMIT of this epoch (H1, H3, H4),
 *   or on an operator's word on record that the source is fenced (H8); and never when that word is about this host.
 * - Without an answer nothing is chosen: the copy stays held (H5).
 * - Once committed nothing stops this step, neither a cancel nor its own time limit: it is finished, or done again.
 * - A committed copy is restored again only when it is provably dead: its restore has ended and no process or state of it is there;
 *   and never from images that lack pages.
 */
import { CmtError, type StepOutput, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { attachingOf, FINISH_LIMIT_MS, type Attaching } from './attaching.ts';
import { letGo, removeCopy } from './copy-end.ts';
import { isHeld, orderRestore, restoreUntilHeld } from './copy.ts';
import { voteCommit } from './deciding.ts';
import { readEntry, record, requireEntry } from './entry.ts';
import { copyGone, requireNotFenced, requirePeerFenced } from './fence.ts';
import { recall, remember } from './outcomes.ts';
import { pagesLost } from './memory-complete.ts';
import { heldCopyDied } from './restore-and-hold.ts';
import { keptPlan } from './restore-plan.ts';
import type { Step } from './step.ts';
import { undoTarget } from './undo-target.ts';
import { noteVote } from './votes.ts';

export const release: Step<'release'> = async (input, context) => {
  if (input.fenced === true) await commitAlone(input.subject, context);
  const entry = await requireEntry('release', context, ['HELD', 'COMMITTED', 'RUNNING', 'DISCARDED']);
  switch (entry.phase) {
    case 'DISCARDED':
      return aborted(0);
    case 'RUNNING':
      return (await recall(context, 'release')) ?? committed(entry.updatedAt, 0, 0);
    case 'COMMITTED':
      await requireNotFenced({ step: 'release', side: 'target', container: entry.container }, context);
      return await open(entry, 0, attachingOf(entry, context), context);
    default:
      return await decide(entry, context);
  }
};

/** COMMITTED whatever was decided: the source is fenced. Nothing is written when there is no copy to run on. */
async function commitAlone({ container }: Subject, context: StepContext): Promise<void> {
  await requirePeerFenced({ side: 'target', container }, context);
  const entry = await readEntry('release', context);
  if (entry?.phase === 'COMMITTED' || entry?.phase === 'RUNNING') return;
  const isHere = entry?.epoch === context.epoch && entry.phase === 'HELD';
  if (!isHere) throw copyGone({ container }, context, `its journal says ${entry?.phase ?? 'nothing'}`);
  if (!(await isHeld(entry, context))) throw copyGone({ container }, context, 'the held copy has died');
  noteVote(entry, context);
  await voteCommit(context);
  await record('release', context, { ...entry, phase: 'COMMITTED', peerFenced: true });
}

async function decide(entry: JournalEntry, context: StepContext): Promise<StepOutput<'release'>> {
  const asked = { step: 'release', side: 'target', container: entry.container } as const;
  const [held] = await Promise.all([isHeld(entry, context), requireNotFenced(asked, context)]);
  if (!held) throw heldCopyDied(entry, context);
  const { clock } = context.machine;
  const started = clock.elapsed();
  const attach = attachingOf(entry, context);
  try {
    noteVote(entry, context);
    if ((await voteCommit(context)) === 'COMMIT') {
      // The decision stands for ever: the links join while it is written down here, and the gate waits for both.
      attach.now().catch(() => undefined);
      const known = await record('release', context, { ...entry, phase: 'COMMITTED' });
      return await open(known, clock.elapsed() - started, attach, context);
    }
  } finally {
    await attach.forget();
  }
  const discarded = await record('release', context, { ...entry, phase: 'DISCARDED' });
  await undoTarget(discarded, context);
  return aborted(clock.elapsed() - started);
}

/**
 * Joins the network first: what the container sends in its first millisecond must not be lost. That the segment is told goes on beside
 * it. The container runs in any case.
 */
async function open(
  entry: JournalEntry,
  decideMs: number,
  attach: Attaching,
  stoppable: StepContext,
): Promise<StepOutput<'release'>> {
  const { clock } = stoppable.machine;
  const context = { ...stoppable, signal: clock.limit(FINISH_LIMIT_MS) };
  const openedAt = clock.now();
  await Promise.allSettled([attach.now()]);
  const releasedAt = (await letGo(entry, context)) ?? (await restoreAgain(entry, context));
  await attach.announced();
  const known = await requireEntry('release', context, ['COMMITTED']);
  await record('release', context, { ...known, phase: 'RUNNING' });
  return await remember(context, 'release', committed(releasedAt, decideMs, releasedAt - openedAt));
}

async function restoreAgain(entry: JournalEntry, context: StepContext): Promise<number> {
  context.tell({ kind: 'warning', text: 'the committed copy is dead: it is restored again from its images' });
  const plan = await keptPlan(context);
  if (plan?.postCopy === true) throw await pagesLost(entry, context);
  await removeCopy(entry, context);
  const { runtime, container, bundle, network } = entry;
  const lost = (): CmtError =>
    new CmtError('CONTAINER_DIED', {
      container,
      host: context.config.name,
      ms: Math.max(0, context.machine.clock.now() - entry.updatedAt),
    });
  if (plan === null) throw lost();
  const subject = { runtime, container, bundle };
  const again = await orderRestore(entry, { subject, network, tcp: plan.tcp, lazy: false }, context);
  const releasedAt = await letGo(await restoreUntilHeld(again, context), context);
  if (releasedAt === null) throw lost();
  return releasedAt;
}

const committed = (releasedAt: number, decideMs: number, openMs: number): StepOutput<'release'> => ({
  decision: 'COMMIT',
  releasedAt,
  decideMs,
  openMs: Math.max(0, openMs),
});

const aborted = (decideMs: number): StepOutput<'release'> => ({
  decision: 'ABORT',
  releasedAt: 0,
  decideMs,
  openMs: 0,
});

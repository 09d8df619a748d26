/**
 * Step `restore-and-hold`: the target's copy is complete and held behind its gate; not one instruction has run.
 *
 * INVARIANTS
 * - The restorer is armed only when gate, directories, the order in the journal and the way to the network are ready: the source
 *   freezes on that word.
 * - HELD is journalled before this step answers, and so before anybody can vote on it.
 * - A copy that was held and has died is reported, never silently restored again before the decision.
 * - A restore whose pages would follow it from images here and that fails before it is held is made once more, complete: nothing
 *   has run yet. One whose pages are at the source is not: the images lack them.
 */
import { join } from 'node:path';
import { CmtError, type StepInput, type StepOutput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { logDir } from '../places.ts';
import type { PageStream } from '../transports/page-stream.ts';
import type { Session } from '../transports/receiver.ts';
import { forgetAttaching, readyToAttach } from './attaching.ts';
import { removeCopy } from './copy-end.ts';
import { isHeld, orderRestore, restoreUntilHeld, type OrderedRestore } from './copy.ts';
import { record, requireEntry } from './entry.ts';
import { recall, remember } from './outcomes.ts';
import { keepPlan } from './restore-plan.ts';
import type { Step } from './step.ts';
import { noteHeld } from './votes.ts';

const NAME = 'restore-and-hold';

export const restoreAndHold: Step<'restore-and-hold'> = async (input, context) => {
  const entry = await requireEntry(NAME, context, ['PREPARED', 'HELD', 'COMMITTED', 'RUNNING']);
  if (entry.phase === 'PREPARED') return await restore(entry, input, context);
  if (entry.phase === 'HELD' && !(await isHeld(entry, context))) throw heldCopyDied(entry, context);
  return (await recall(context, NAME)) ?? { waitMs: 0, restoreMs: 0, criuMs: 0, lazy: input.lazy };
};

async function restore(
  entry: JournalEntry,
  input: StepInput<'restore-and-hold'>,
  context: StepContext,
): Promise<StepOutput<'restore-and-hold'>> {
  const { migration, epoch, receiver, config, signal, machine } = context;
  const session = receiver.session(migration, epoch);
  if (session === null) throw new CmtError('SESSION_LOST', { host: config.name, migration });
  await removeCopy(entry, context);
  const complete = session.complete(signal);
  complete.catch(() => undefined);
  const follow = input.postCopy === true ? await pagesOf(session, complete, context) : null;
  const ordered = await orderRestore(entry, input, context, follow);
  const lastByteAt = await untilComplete(ordered, session, complete, context);
  const startedAt = machine.clock.now();
  const started = machine.clock.elapsed();
  const { held, lazy } = await lazilyOrComplete(ordered, input, context);
  const restoreMs = machine.clock.elapsed() - started;
  const criuMs = (await machine.criu.lastLogTime(join(ordered.plan.work, 'restore.log'))) ?? restoreMs;
  const waitMs = Math.max(0, startedAt - lastByteAt);
  const [output] = await Promise.all([
    remember(context, NAME, { waitMs, restoreMs, criuMs, lazy }),
    record(NAME, context, { ...held, phase: 'HELD' }).then((entry) => noteHeld(entry, context)),
  ]);
  return output;
}

/** Says that the restore is armed, and waits for the source's word. @returns when the last byte came */
async function untilComplete(
  { entry, plan, armed }: OrderedRestore,
  session: Session,
  complete: ReturnType<Session['complete']>,
  context: StepContext,
): Promise<number> {
  try {
    await Promise.all([keepPlan(plan, context), readyToAttach(entry, context)]);
    session.arm();
    return (await complete).lastByteAt;
  } catch (error) {
    await Promise.all([armed.leave(), forgetAttaching(entry, context)]);
    throw error;
  }
}

/** The way on which pages follow, once the source has opened it; that is before it freezes anything. */
function pagesOf(session: Session, complete: Promise<unknown>, context: StepContext): Promise<PageStream> {
  const withoutThem = complete.then(() => {
    throw new CmtError('SESSION_LOST', { host: context.config.name, migration: context.migration });
  });
  return Promise.race([session.pages(), withoutThem]);
}

async function lazilyOrComplete(
  ordered: OrderedRestore,
  input: StepInput<'restore-and-hold'>,
  context: StepContext,
): Promise<{ held: JournalEntry; lazy: boolean }> {
  try {
    return { held: await restoreUntilHeld(ordered, context), lazy: input.lazy };
  } catch (error) {
    if (!input.lazy || input.postCopy === true || context.signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    context.tell({ kind: 'warning', text: `the lazy restore failed, a complete one follows: ${reason}` });
    const again = await orderRestore(ordered.entry, { ...input, lazy: false }, context);
    return { held: await restoreUntilHeld(again, context), lazy: false };
  }
}

/** A copy that was held is gone before it was released. */
export const heldCopyDied = (entry: JournalEntry, { config, epoch }: StepContext): CmtError =>
  new CmtError('HELD_COPY_DIED', {
    container: entry.container,
    host: config.name,
    log: logDir(config, entry.migration, epoch, 'restore'),
  });

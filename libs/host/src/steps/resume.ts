/**
 * Step `resume`, undo of `freeze-and-dump`: the container runs on at the source, its network attached again.
 *
 * INVARIANTS
 * - What was frozen runs on only with ABORT of the epoch of the freeze on record (lifecycle H2), or with an operator's word
 *   on record that the target is fenced (H8); and never when that word is about this host.
 * - It never answers that a container runs which is not there.
 * - RESUMED is journalled before anything runs, and for a container that was never frozen as well: a late `freeze-and-dump` is refused.
 */
import { CmtError, type StepInput, type StepOutput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { readDecision, voteAbort } from './deciding.ts';
import { newEntry, readEntry, record } from './entry.ts';
import { copyGone, requireNotFenced, requirePeerFenced } from './fence.ts';
import { endServing } from './serving.ts';
import type { Step } from './step.ts';

type Input = StepInput<'resume'>;

export const resume: Step<'resume'> = async (input, context) => {
  const output = await runOn(input, context);
  await requireAlive(input, context);
  return output;
};

async function runOn(input: Input, context: StepContext): Promise<StepOutput<'resume'>> {
  const entry = await readEntry('resume', context);
  if (entry === null || entry.frozenAt === null || isOverSince(entry, context))
    return await neverFrozen(entry, input, context);
  const frozenAt = entry.frozenAt;
  if (entry.closed) return { wasFrozen: true, frozenMs: entry.updatedAt - frozenAt };

  const resumed = input.fenced === true ? await goOnAlone(entry, context) : await markResumed(entry, context);
  await letRunOn(resumed, input, context);
  return { wasFrozen: true, frozenMs: Math.max(0, resumed.updatedAt - frozenAt) };
}

/** Asks for nothing before: who looks at a container that is half frozen waits, and it is to run on at once. */
async function letRunOn(
  entry: JournalEntry,
  { subject }: Pick<Input, 'subject'>,
  context: StepContext,
): Promise<void> {
  const runtime = context.runtimes.get(subject.runtime);
  await endServing(entry, context);
  try {
    await context.network.unfence(entry.network, context.signal).finally(async () => {
      await runtime.resume(subject.container, context.signal);
    });
  } catch (error) {
    await requireAlive({ subject }, context);
    throw error;
  }
}

/** A host that was restarted meanwhile has no container to run on: nobody may be told that it does. */
async function requireAlive(
  { subject }: Pick<Input, 'subject'>,
  { runtimes, config, signal }: StepContext,
): Promise<void> {
  const { runtime, container } = subject;
  const status = (await runtimes.get(runtime).state(container, signal))?.status ?? 'gone';
  if (status === 'gone' || status === 'stopped')
    throw new CmtError('CONTAINER_LOST', { container, host: config.name, status });
}

const isOverSince = (entry: JournalEntry, context: StepContext): boolean =>
  entry.phase === 'RESUMED' && entry.epoch < context.epoch;

/** RESUMED of the epoch of the freeze, allowed by its own ABORT. */
async function markResumed(entry: JournalEntry, context: StepContext): Promise<JournalEntry> {
  const { container, epoch } = entry;
  await requireNotFenced({ step: 'resume', side: 'source', container }, context);
  if (entry.phase === 'RESUMED') return entry;
  const decision = entry.phase === 'FROZEN' ? await readDecision(context, epoch) : null;
  if (decision !== 'ABORT')
    throw new CmtError('NOT_ABORTED', { host: context.config.name, container, epoch });
  return await record('resume', context, { ...entry, phase: 'RESUMED' });
}

/** RESUMED whatever was decided: the target is fenced. Nothing is written when there is no copy to run on. */
async function goOnAlone(entry: JournalEntry, context: StepContext): Promise<JournalEntry> {
  await requirePeerFenced({ side: 'source', container: entry.container }, context);
  if (entry.phase !== 'FROZEN' && entry.phase !== 'RESUMED')
    throw copyGone(entry, context, `its journal says ${entry.phase}`);
  const state = await context.runtimes.get(entry.runtime).state(entry.container, context.signal);
  if (state === null || state.status === 'stopped')
    throw copyGone(entry, context, `the container is ${state?.status ?? 'gone'}`);
  await voteAbort({ ...context, epoch: entry.epoch });
  return await record('resume', context, { ...entry, phase: 'RESUMED', peerFenced: true });
}

async function neverFrozen(
  entry: JournalEntry | null,
  { subject, network }: Input,
  context: StepContext,
): Promise<{ wasFrozen: false; frozenMs: 0 }> {
  const base = entry ?? newEntry(context, subject, { side: 'source', phase: 'RESUMED', closed: true });
  if (entry !== null && base.closed && base.epoch === context.epoch) return { wasFrozen: false, frozenMs: 0 };
  const over = { ...base, epoch: context.epoch, phase: 'RESUMED', network, frozenAt: null } as const;
  await record('resume', context, over);
  return { wasFrozen: false, frozenMs: 0 };
}

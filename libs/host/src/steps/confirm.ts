/** Step `confirm`: the released container runs, is the same living process after `confirmForMs`, and all its memory is there. */
import { CmtError, type StepInput, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { noteCosts } from '../costs.ts';
import { requireEntry } from './entry.ts';
import { memoryComplete } from './memory-complete.ts';
import { recall } from './outcomes.ts';
import type { Step } from './step.ts';

/** Milliseconds between two looks at /proc: outside the blackout, so cheap rather than quick. */
const LOOK_EVERY_MS = 50;

export const confirm: Step<'confirm'> = async (input, context) => {
  const { subject, confirmForMs } = input;
  const { clock, processes } = context.machine;
  const entry = await requireEntry('confirm', context, ['RUNNING']);
  const releasedAt = entry.updatedAt;
  // It was confirmed before it was closed; where the container is by now is not this migration's business.
  if (entry.closed) return { pid: 0, ranMs: confirmForMs };
  const state = await context.runtimes.get(subject.runtime).state(subject.container, context.signal);
  const init = state?.status === 'running' ? await processes.named(state.pid) : null;
  // Killed for the pages it has lost: that is said first.
  const gone = async (): Promise<never> => {
    await memoryComplete(entry, context);
    throw died(subject, context, releasedAt);
  };
  if (init === null) return await gone();

  const pages = memoryComplete(entry, context);
  pages.catch(() => undefined);
  const until = clock.elapsed() + confirmForMs;
  while (clock.elapsed() < until) {
    await clock.wait(Math.min(LOOK_EVERY_MS, until - clock.elapsed()), context.signal);
    if (!(await processes.isAlive(init))) return await gone();
  }
  await pages;
  if (!(await processes.isAlive(init))) return await gone();
  await noteRestore(input, context);
  return { pid: init.pid, ranMs: Math.max(0, clock.now() - releasedAt) };
};

/** From the last byte to the opened gate, by what was restored before that. */
async function noteRestore({ memory, following }: StepInput<'confirm'>, context: StepContext): Promise<void> {
  const [held, released] = [await recall(context, 'restore-and-hold'), await recall(context, 'release')];
  if (held === null || released === null || memory === undefined) return;
  // Nothing is known by an older coordinator of how much followed.
  if (held.lazy && following === undefined) return;
  const bytes = held.lazy ? Math.max(0, memory - (following ?? 0)) : memory;
  const ms = held.waitMs + held.restoreMs + released.decideMs + released.openMs;
  await noteCosts(context, { restore: { bytes, ms } });
}

const died = ({ container }: Subject, { config, machine }: StepContext, releasedAt: number): CmtError =>
  new CmtError('CONTAINER_DIED', {
    container,
    host: config.name,
    ms: Math.max(0, machine.clock.now() - releasedAt),
  });

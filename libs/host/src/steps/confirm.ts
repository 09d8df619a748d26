/** Step `confirm`: the released container runs, and is the same living process after `confirmForMs`. */
import { setTimeout as wait } from 'node:timers/promises';
import { CmtError, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { startTimeOf } from '../proc.ts';
import { requireEntry } from './entry.ts';
import type { Step } from './step.ts';

/** Milliseconds between two looks at /proc: outside the blackout, so cheap rather than quick. */
const LOOK_EVERY_MS = 50;

export const confirm: Step<'confirm'> = async ({ subject, confirmForMs }, context) => {
  const entry = await requireEntry('confirm', context, ['RUNNING']);
  const releasedAt = entry.updatedAt;
  // It was confirmed before it was closed; where the container is by now is not this migration's business.
  if (entry.closed) return { pid: 0, ranMs: confirmForMs };
  const state = await context.runtimes.get(subject.runtime).state(subject.container, context.signal);
  const startTime = state?.status === 'running' ? await startTimeOf(state.pid) : null;
  if (state === null || startTime === null) throw died(subject, context, releasedAt);

  const until = performance.now() + confirmForMs;
  while (performance.now() < until) {
    await wait(Math.min(LOOK_EVERY_MS, until - performance.now()), undefined, { signal: context.signal });
    if ((await startTimeOf(state.pid)) !== startTime) throw died(subject, context, releasedAt);
  }
  return { pid: state.pid, ranMs: Math.max(0, Date.now() - releasedAt) };
};

const died = ({ container }: Subject, { config }: StepContext, releasedAt: number): CmtError =>
  new CmtError('CONTAINER_DIED', { container, host: config.name, ms: Math.max(0, Date.now() - releasedAt) });

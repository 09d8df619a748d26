/** Step `inspect`: what runs, what a move has to carry, and what CRIU would refuse. Changes nothing. */
import { inspectContainer } from '../preflight/inspect.ts';
import { requireFree } from './claims.ts';
import type { Step } from './step.ts';

export const inspect: Step<'inspect'> = async (input, context) => {
  const answer = await inspectContainer(input, context, context.signal);
  await requireFree(context, answer.inspection);
  return answer;
};

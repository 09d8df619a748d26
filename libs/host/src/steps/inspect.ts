/** Step `inspect`: what runs, what a move has to carry, and what CRIU would refuse. Changes nothing. */
import { CmtError, type ContainerId, type StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { gatherFacts } from '../preflight/facts.ts';
import { inspectContainer } from '../preflight/inspect.ts';
import type { ContainerState } from '../runtimes/runtime.ts';
import { claimContainer } from './entry.ts';
import type { Step } from './step.ts';

export const inspect: Step<'inspect'> = async (input, context) => {
  const { config, runtimes, network, signal } = context;
  const state = await runningState(input, context);
  const { runtime } = input;
  await claimContainer(context, { runtime, container: state.id, bundle: state.bundle });
  const [inspection, facts] = await Promise.all([
    inspectContainer({ runtime, state, network, host: config.name }, signal),
    gatherFacts(config, runtimes, signal),
  ]);
  return { inspection, facts, findings: [] };
};

/** @throws CmtError CONTAINER_UNKNOWN, CONTAINER_NOT_RUNNING */
async function runningState(input: StepInput<'inspect'>, context: StepContext): Promise<ContainerState> {
  const host = context.config.name;
  const container = input.container ?? (await containerOf(input, context));
  const state =
    container === null ? null : await context.runtimes.get(input.runtime).state(container, context.signal);
  if (state === null)
    throw new CmtError('CONTAINER_UNKNOWN', { container: container ?? `in ${input.bundle ?? ''}`, host });
  if (state.status !== 'running')
    throw new CmtError('CONTAINER_NOT_RUNNING', { container: state.id, host, status: state.status });
  return state;
}

/** The container whose bundle was named; a running one rather than what is left of others. */
async function containerOf(
  { runtime, bundle }: StepInput<'inspect'>,
  { runtimes, signal }: StepContext,
): Promise<ContainerId | null> {
  const there = (await runtimes.get(runtime).list(signal)).filter((each) => each.bundle === bundle);
  return (there.find(({ status }) => status === 'running') ?? there[0])?.id ?? null;
}

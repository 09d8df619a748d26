/**
 * Outputs of finished steps, so that a step that is delivered twice answers the same.
 * They lie with the images in memory: gone with the machine, like the processes they tell of.
 */
import { join } from 'node:path';
import { steps, type StepName, type StepOutput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { notesDir } from '../places.ts';

/** Keeps a step's output; `round` tells several of one step apart. */
export async function remember<N extends StepName>(
  context: StepContext,
  step: N,
  output: StepOutput<N>,
  round = 0,
): Promise<StepOutput<N>> {
  await context.machine.files.writeText(pathOf(context, step, round), JSON.stringify(output));
  return output;
}

/** The output of a step that has ended well in this epoch, or null. */
export async function recall<N extends StepName>(
  context: StepContext,
  step: N,
  round = 0,
): Promise<StepOutput<N> | null> {
  const text = await context.machine.files.readText(pathOf(context, step, round));
  return text === null ? null : (steps[step].output.parse(JSON.parse(text)) as StepOutput<N>);
}

const pathOf = ({ config, migration, epoch }: StepContext, step: StepName, round: number): string =>
  join(notesDir(config, migration, epoch), `${step}-${round}.json`);

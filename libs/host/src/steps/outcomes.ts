/**
 * Outputs of finished steps, so that a step that is delivered twice answers the same.
 * They lie with the images in memory: gone with the machine, like the processes they tell of.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
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
  const path = pathOf(context, step, round);
  await mkdir(notesDir(context.config, context.migration, context.epoch), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.tmp`, JSON.stringify(output), { mode: 0o600 });
  await rename(`${path}.tmp`, path);
  return output;
}

/** The output of a step that has ended well in this epoch, or null. */
export async function recall<N extends StepName>(
  context: StepContext,
  step: N,
  round = 0,
): Promise<StepOutput<N> | null> {
  try {
    const text = await readFile(pathOf(context, step, round), 'utf8');
    return steps[step].output.parse(JSON.parse(text)) as StepOutput<N>;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

const pathOf = ({ config, migration, epoch }: StepContext, step: StepName, round: number): string =>
  join(notesDir(config, migration, epoch), `${step}-${round}.json`);

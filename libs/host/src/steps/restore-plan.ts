/** The plan of a restore, kept beside the images: a committed copy that died is restored once more with it. */
import { join } from 'node:path';
import { AbsolutePath, TcpPolicy } from '@cmt/contracts';
import { z } from 'zod';
import type { StepContext } from '../context.ts';
import { notesDir } from '../places.ts';
import type { RestorePlan } from '../runtimes/runtime.ts';

const Plan = z.object({
  bundle: AbsolutePath,
  images: AbsolutePath,
  work: AbsolutePath,
  tcp: TcpPolicy,
  criuConfig: AbsolutePath,
  postCopy: z.boolean().optional(),
});

export const keepPlan = (plan: RestorePlan, context: StepContext): Promise<void> =>
  context.machine.files.writeText(pathOf(context), JSON.stringify(plan));

/** Null when it is gone, and the images with it: this machine was restarted. */
export async function keptPlan(context: StepContext): Promise<RestorePlan | null> {
  const text = await context.machine.files.readText(pathOf(context));
  return text === null ? null : Plan.parse(JSON.parse(text));
}

const pathOf = ({ config, migration, epoch }: StepContext): string =>
  join(notesDir(config, migration, epoch), 'restore-plan.json');

/** The real steps; only those that look at a machine and change nothing are the simulated world's own. */
import { CmtError, type StepName } from '@cmt/contracts';
import { requireFree } from '../../libs/host/src/steps/claims.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import type { Steps } from '../../libs/host/src/steps/step.ts';
import { factsOf, inspection, surveyOf } from './sim-facts.ts';
import { CONTAINER, type SimHost } from './sim-host.ts';
import type { SimProcess } from './sim-process.ts';
import type { World } from './world.ts';

export function stepsOf(world: World, host: SimHost, who: SimProcess): Steps {
  const looking: Pick<Steps, 'inspect' | 'validate'> = {
    inspect: async (_, context) => {
      const copy = await who.effect('inspect', () => host.copy);
      const details = { container: CONTAINER, host: host.name };
      if (copy === null) throw new CmtError('CONTAINER_UNKNOWN', details);
      if (copy.status !== 'running')
        throw new CmtError('CONTAINER_NOT_RUNNING', { ...details, status: copy.status });
      await requireFree(context, inspection);
      return { inspection, facts: factsOf(host.name), findings: [] };
    },
    validate: async (_, context) => {
      const other = await context.journal.busyWith(CONTAINER);
      const survey = await who.effect('survey', () =>
        surveyOf(host, other === context.migration ? null : other),
      );
      return { survey };
    },
  };
  const all = { ...steps, ...looking };
  const counted = (Object.keys(all) as StepName[]).map((name) => [
    name,
    world.rules.step(name, all[name] as never),
  ]);
  return Object.fromEntries(counted) as Steps;
}

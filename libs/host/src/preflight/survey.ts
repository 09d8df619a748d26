/** Could this host take that container? The target's answers; the saga judges them. Changes nothing. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Inspection, TargetSurvey } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { checkCpuinfo } from '../criu/check.ts';
import { isThere } from '../mounts.ts';
import { bundleOwner } from './bundles.ts';
import { room } from './disk.ts';
import { gatherFacts } from './facts.ts';

type Place = Pick<StepContext, 'config' | 'runtimes' | 'network' | 'journal'>;

/** @param bundle where the container's bundle would lie on this host */
export async function surveyTarget(
  inspection: Inspection,
  bundle: string,
  place: Place,
  signal: AbortSignal,
): Promise<TargetSurvey> {
  const { config, runtimes, network, journal } = place;
  const { container, runtime, mounts } = inspection;
  const facts = await gatherFacts(config, runtimes, signal);
  const [state, conflicts, missingMounts, bundleIs, bundleFree, rsync, busyWith, cpuProblem] =
    await Promise.all([
      facts.runtimes[runtime] === undefined ? null : runtimes.get(runtime).state(container, signal),
      network.conflicts(inspection.network, signal),
      missing(mounts.map(({ source }) => source)),
      bundleState(config, bundle, inspection),
      room(bundle).then(({ free }) => free),
      isOnPath('rsync'),
      journal.busyWith(container),
      facts.criu === null || inspection.cpuinfo === '' ? null : cpuProblemOf(inspection, signal),
    ]);
  return {
    ...{ facts, cpuProblem, ...conflicts, missingMounts, bundleFree, rsync, busyWith },
    nameTaken: state !== null,
    bundle: bundleIs,
  };
}

const cpuProblemOf = ({ cpuinfo }: Inspection, signal: AbortSignal): Promise<string | null> =>
  checkCpuinfo(Buffer.from(cpuinfo, 'base64'), signal);

async function bundleState(
  config: Place['config'],
  bundle: string,
  { container }: Inspection,
): Promise<TargetSurvey['bundle']> {
  if (!(await isThere(bundle))) return 'absent';
  return (await bundleOwner(config, bundle)) === container ? 'ours' : 'foreign';
}

async function missing(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map((path) => isThere(path)));
  return paths.filter((_, index) => !there[index]);
}

async function isOnPath(program: string): Promise<boolean> {
  const places = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  const found = await Promise.all(
    places.map((place) =>
      access(join(place, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

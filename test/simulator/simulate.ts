/** One run of the simulated world, from its seed to its verdict. */
import { draw, type Awaits } from './draw.ts';
import { sooner, type Scenario } from './faults.ts';
import type { Violation } from './promises.ts';
import { realRules, type Rules } from './rules.ts';
import { Random } from './virtual-time.ts';
import { World } from './world.ts';

export interface Run {
  readonly scenario: Scenario;
  readonly events: number;
  readonly faultsFired: number;
  readonly violations: readonly Violation[];
  readonly crashPoints: ReadonlySet<string>;
  /** How each migration ended. */
  readonly ends: readonly string[];
  readonly notes: readonly string[];
  readonly awaits: Awaits;
}

/** Milliseconds of the world's own time: by then every migration must have ended, and what is left be at rest. */
const END_MS = 40 * 60_000;
const REST_MS = 25_000;
/** The same where nothing is left that anybody might still act on. */
const SETTLED_REST_MS = 5_000;

/** Runs a scenario to its end. */
export async function play(scenario: Scenario, rules: Rules = realRules): Promise<Run> {
  const world = new World(scenario, rules);
  const { time, promises } = world;
  world.begin();
  let restUntil = Infinity;
  let awaits = { ...world.awaits };
  const goesOn = (): boolean => {
    if (promises.violations.length > 0 || time.elapsed > END_MS) return false;
    const atRest = !world.goesOn;
    if (!atRest) awaits = { ...world.awaits };
    const restMs = world.isSettled ? SETTLED_REST_MS : REST_MS;
    restUntil = atRest ? Math.min(restUntil, time.elapsed + restMs) : Infinity;
    return time.elapsed < restUntil;
  };
  await time.run(goesOn, () => promises.check());
  if (promises.violations.length === 0) promises.final();
  const ends = world.asked.map((id) => world.migration(id).end ?? 'none');
  const { crashPoints, notes, fired } = world;
  const { violations } = promises;
  return { scenario, events: time.events, faultsFired: fired, violations, crashPoints, ends, notes, awaits };
}

const undisturbed = new Map<string, Awaits>();

/** Counts the awaits of a run without faults, once for every setting. */
export async function calibrate(): Promise<void> {
  for (const redisKeepsEveryWrite of [true, false])
    for (const preRestoreHook of [true, false])
      for (const coordinators of [1, 2] as const) {
        const setting = { seed: 1, redisKeepsEveryWrite, preRestoreHook, coordinators };
        const scenario = { ...setting, operator: null, faults: [] };
        const { awaits, violations, ends } = await play(scenario);
        if (violations.length > 0 || ends[0] !== 'done')
          throw new Error(`an undisturbed run ends ${ends[0]}: ${JSON.stringify(violations)}`);
        undisturbed.set(settingOf(scenario), awaits);
      }
}

const settingOf = ({ redisKeepsEveryWrite, preRestoreHook, coordinators }: Scenario): string =>
  `${redisKeepsEveryWrite} ${preRestoreHook} ${coordinators}`;

/** The run of a seed: one that would end before anything goes wrong in it meets its faults sooner. */
export async function playSeed(seed: number, rules: Rules = realRules): Promise<Run> {
  let run = await play(scenarioOf(seed), rules);
  for (let tries = 0; run.faultsFired === 0 && tries < 8; tries += 1)
    run = await play({ ...run.scenario, faults: run.scenario.faults.map(sooner) }, rules);
  return run;
}

/** The scenario of a seed; `calibrate` must have been called before. */
export const scenarioOf = (seed: number): Scenario =>
  draw(seed, new Random(seed), (scenario) => {
    const awaits = undisturbed.get(settingOf(scenario));
    if (awaits === undefined) throw new Error('calibrate first');
    return awaits;
  });

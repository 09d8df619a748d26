/** Makes a failing scenario smaller: every part without which it still fails is left out. */
import type { Fault, Scenario } from './faults.ts';
import { play, type Run } from './simulate.ts';
import type { Rules } from './rules.ts';

/** The smallest failing run found from this one, its faults left out and its settings plain where that changes nothing. */
export async function shrink(failing: Run, rules: Rules): Promise<Run> {
  let smallest = failing;
  for (let smaller: Run | null = failing; smaller !== null; smaller = await firstFailing(smallest, rules))
    smallest = smaller;
  return smallest;
}

async function firstFailing({ scenario, violations }: Run, rules: Rules): Promise<Run | null> {
  for (const candidate of smallerOnes(scenario)) {
    const run = await play(candidate, rules);
    if (run.violations[0]?.promise === violations[0]?.promise) return run;
  }
  return null;
}

function* smallerOnes(scenario: Scenario): Generator<Scenario> {
  const { faults } = scenario;
  for (const [index] of faults.entries())
    yield { ...scenario, faults: faults.filter((_, other) => other !== index) };
  if (scenario.operator !== null) yield { ...scenario, operator: null };
  if (scenario.coordinators === 2) yield { ...scenario, coordinators: 1 };
  if (scenario.preRestoreHook) yield { ...scenario, preRestoreHook: false };
  for (const [index, fault] of faults.entries())
    for (const shorter of shorterOnes(fault))
      yield { ...scenario, faults: faults.map((other, at) => (at === index ? shorter : other)) };
}

/** Half as long, while that makes a difference worth having. */
function shorterOnes(fault: Fault): Fault[] {
  const { deed } = fault;
  for (const length of ['backAfterMs', 'forMs', 'downMs', 'losesMs'] as const) {
    const ms = (deed as Partial<Record<typeof length, number>>)[length];
    if (ms !== undefined && ms > 100) return [{ ...fault, deed: { ...deed, [length]: Math.floor(ms / 2) } }];
  }
  return [];
}

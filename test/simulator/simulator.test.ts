/** The simulated world keeps every promise over thousands of runs; and each deliberately broken rule is caught. */
import { setMaxListeners } from 'node:events';
import { beforeAll, describe, expect, test } from 'vitest';
import { brokenRules, type BrokenRules } from './broken-rules.ts';
import { runCampaign } from './campaign.ts';
import { realRules } from './rules.ts';
import { shrink } from './shrink.ts';
import { calibrate, play, playSeed, type Run } from './simulate.ts';

const RUNS = 10_000;
/** Runs in which a broken rule must have been caught. */
const RUNS_TO_CATCH = 1_500;

setMaxListeners(0);
beforeAll(calibrate, 60_000);

test(`keeps every promise in ${RUNS} runs, each with a fault`, { timeout: 600_000 }, async () => {
  const { crashPoints, ...tally } = await runCampaign({ runs: RUNS, seed: 1 });
  process.stderr.write(`simulator: ${JSON.stringify({ ...tally, crashPoints: crashPoints.length })}\n`);
  expect(tally.failing, 'seeds: npm run simulate -- --runs 1 --seed SEED').toEqual([]);
  expect(tally).toMatchObject({ runs: RUNS, violations: 0, undisturbed: 0 });
  expect(crashPoints.length).toBeGreaterThan(150);
});

test('plays the same for the same seed', async () => {
  for (const seed of [3, 57, 101]) {
    const [one, other] = [await playSeed(seed), await playSeed(seed)];
    expect(other).toEqual(one);
  }
});

describe('catches that', () => {
  test.each(brokenRules.map((broken) => [broken.name, broken] as const))(
    '%s',
    { timeout: 180_000 },
    async (_, broken) => {
      const caught = await firstCaught(broken);
      // It is the rule that breaks the promise, and not the world.
      expect((await play(caught.scenario, realRules)).violations).toEqual([]);
    },
  );
});

test(
  'a failing run is shrunk to what it takes, and the real rules pass it',
  { timeout: 60_000 },
  async () => {
    const broken = brokenRules[1]!;
    const { rules } = broken;
    const caught = await firstCaught(broken);
    const small = await shrink(caught, rules);
    expect(small.violations[0]?.promise).toBe(caught.violations[0]?.promise);
    expect(small.scenario.faults.length).toBeLessThanOrEqual(caught.scenario.faults.length);
    for (const [index] of small.scenario.faults.entries()) {
      const faults = small.scenario.faults.filter((__, other) => other !== index);
      const without = await play({ ...small.scenario, faults }, rules);
      expect(without.violations[0]?.promise).not.toBe(small.violations[0]?.promise);
    }
    expect((await play(small.scenario, realRules)).violations).toEqual([]);
  },
);

/** The first run in which one of the promises is seen broken that this variant breaks. */
async function firstCaught({ name, rules, breaks }: BrokenRules): Promise<Run> {
  for (let seed = 1; seed <= RUNS_TO_CATCH; seed += 1) {
    const run = await playSeed(seed, rules);
    if (run.violations.some(({ promise }) => breaks.includes(promise))) return run;
  }
  throw new Error(`not caught in ${RUNS_TO_CATCH} runs: ${name}`);
}

/**
 * `npm run simulate -- [--runs N] [--seed S] [--json]`: N runs of the simulated world from seed S on.
 * A run that breaks a promise is shrunk and printed; `--runs 1 --seed S` plays it again.
 */
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { realRules } from './rules.ts';
import { shrink } from './shrink.ts';
import { calibrate, playSeed } from './simulate.ts';

const HELP = `Usage: npm run simulate -- [--runs N] [--seed S] [--json]

Plays N migrations (default 10000) with faults drawn from the seeds S, S+1, … (default 1) in a simulated world: the real saga,
steps and settlement, with hosts, queue and links that fail. After every event the promises H1 to H8 are checked.

Examples:
  npm run simulate -- --runs 100000 --json
  npm run simulate -- --runs 1 --seed 4711     play one run again
`;

setMaxListeners(0);

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

process.exitCode = values.help ? help() : await main(whole('runs', values.runs), whole('seed', values.seed));

function help(): number {
  process.stdout.write(HELP);
  return 0;
}

async function main(runs: number, seed: number): Promise<number> {
  const began = performance.now();
  const tell = (done: number) => process.stderr.write(`\r${done}/${runs}`);
  const tally = await runCampaign({ runs, seed, ...(process.stderr.isTTY ? { onProgress: tell } : {}) });
  const perSecond = Math.round((1000 * tally.runs) / (performance.now() - began));
  const { crashPoints, failing, ...figures } = tally;
  const said = { ...figures, crashPoints: crashPoints.length, perSecond };
  process.stdout.write(values.json ? `${JSON.stringify(said)}\n` : `${textOf(said)}\n`);
  if (failing[0] !== undefined) await explain(failing[0], failing);
  return tally.violations === 0 ? 0 : 1;
}

function textOf(figures: object): string {
  return Object.entries(figures)
    .map(
      ([name, value]) =>
        `${name.padEnd(12)}${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join('\n');
}

/** The failing run, as small as it gets, and which others fail. */
async function explain(seed: number, failing: readonly number[]): Promise<void> {
  await calibrate();
  const run = await shrink(await playSeed(seed), realRules);
  const told = { failing, seed, violations: run.violations, scenario: run.scenario, notes: run.notes };
  process.stderr.write(`${JSON.stringify(told, null, 2)}\n`);
}

function whole(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  process.stderr.write(`--${name} is a whole number above 0, not ${text}\n`);
  process.exit(2);
}

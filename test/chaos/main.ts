/**
 * `npm run chaos [-- --cells FILTER] [--json] [--labs N] [--part K/N] [--list] [--evidence DIR]`: the kill matrix on real CRIU and runc.
 * Exit code 0 only when every cell ended safely. Progress and failures on standard error, the result on standard output.
 */
import { parseArgs } from 'node:util';
import { interruption } from '../support/interruption.ts';
import { cells, choose, partOf } from './cells.ts';
import { keepEvidence } from './evidence.ts';
import { failureText, passed, summary, type Outcome } from './report.ts';
import { runCells } from './run-cells.ts';

/** Cells wait more than they work: two labs keep two cores busy. */
const LABS = '2';

process.umask(0o077);
const { values: flags } = parseArgs({
  options: {
    cells: { type: 'string' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    part: { type: 'string', default: '1/1' },
    labs: { type: 'string', default: LABS },
    evidence: { type: 'string' },
  },
});
const tell = (text: string): void => void process.stderr.write(text);
const interrupted = interruption('interrupted; the labs are taken down');

process.exitCode = await main();
process.exit();

async function main(): Promise<number> {
  const [part = 1, of = 1] = flags.part.split('/').map(Number);
  const chosen = partOf(flags.cells === undefined ? cells : choose(flags.cells), part, of);
  if (chosen.length === 0) {
    tell(`no cell is called ${flags.cells ?? ''}; \`npm run chaos -- --list\` names them all\n`);
    return 2;
  }
  if (flags.list) {
    process.stdout.write(chosen.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  try {
    const outcomes = await run(chosen);
    const result = summary(outcomes);
    process.stdout.write(`${flags.json ? JSON.stringify(result) : JSON.stringify(result, undefined, 2)}\n`);
    return result.failed === 0 ? 0 : 1;
  } catch (error) {
    tell(`chaos: ${error instanceof Error ? error.message : String(error)}\n`);
    return interrupted.aborted ? 130 : 1;
  }
}

function run(chosen: typeof cells): Promise<Outcome[]> {
  const begun = performance.now();
  let ended = 0;
  return runCells(chosen, {
    labs: Number(flags.labs),
    signal: interrupted,
    onOutcome: (outcome) => {
      ended += 1;
      const eta = ((performance.now() - begun) / ended) * (chosen.length - ended);
      tell(`${ended}/${chosen.length} ${line(outcome)}, eta ${minutes(eta)}\n`);
      if (!passed(outcome)) tell(failureText(outcome));
    },
    onFailure: async (site, outcome) => {
      if (flags.evidence !== undefined) await keepEvidence(flags.evidence, site, outcome);
    },
  });
}

function line({ cell, verdict, ms, ...rest }: Outcome): string {
  const word = passed({ cell, verdict, ms, ...rest }) ? 'ok' : 'FAILED';
  const recovery = verdict.recoveryMs === null ? '' : `, went on after ${seconds(verdict.recoveryMs)}`;
  return `${word} ${cell.name}: ${verdict.end ?? 'did not end'} in ${seconds(ms)}${recovery}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

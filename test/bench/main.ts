/**
 * `npm run bench -- [--json] [--size MIB,…] [--dirty MIB/S,…] [--runs N] [--modes NAME,…]`: the ways to move one container against each
 * other, in turn, on the same hosts. The first size with every dirty rate, and every size with the first dirty rate. Needs root.
 * Nothing fails on a slow machine; exit code 1 means that it could not be measured.
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { buildCmt } from '../support/cmt.ts';
import { startFleet, type Fleet } from '../support/fleet.ts';
import { interruption } from '../support/interruption.ts';
import type { Load } from './container.ts';
import { figuresOf, ratiosOf, type Point } from './figures.ts';
import { modes, type Mode } from './modes.ts';
import { peakMemory, Stage, type Measured } from './site.ts';
import { pointText } from './text.ts';

const LEAST_RUNS = 5;

process.umask(0o077);
const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    size: { type: 'string', default: '10' },
    dirty: { type: 'string', default: '0' },
    runs: { type: 'string', default: `${LEAST_RUNS}` },
    modes: { type: 'string' },
  },
});
const tell = (text: string): void => void process.stderr.write(text);

await buildCmt();
const loads = loadsOf(numbers('size', 1), numbers('dirty', 0));
const [runs = LEAST_RUNS] = numbers('runs', 1);
// Between two moves: a `cmt` at work would start again what is taken down.
const interrupted = interruption('interrupted; the lab is taken down');
const fleet = await startFleet('bench');
try {
  const points: Point[] = [];
  for (const load of loads) {
    points.push(await measurePoint(fleet, load));
    if (!flags.json) process.stdout.write(pointText(points.at(-1)!));
  }
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', kernel: release() };
  const result = { at: new Date().toISOString(), machine, runs, points, peakRssMiB: await peakMemory(fleet) };
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : memoryText(result.peakRssMiB));
} finally {
  await fleet.stop();
}
process.exit();

async function measurePoint(on: Fleet, load: Load): Promise<Point> {
  const site = { fleet: on, load };
  const chosen = await available(site);
  const stage = new Stage(site);
  await stage.set();
  const moves = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]));
  // The first round warms up caches on both hosts, and is thrown away.
  for (let round = 0; round <= runs; round += 1)
    for (const mode of chosen) {
      interrupted.throwIfAborted();
      const measured = await stage.measure(mode);
      tellMove(load, mode, round, measured);
      if (round > 0) moves.get(mode.name)?.push(measured);
    }
  if (!(await stage.strike())) throw new Error(`the data of ${load.sizeMiB} MiB is not what was put in`);
  const figures = Object.fromEntries([...moves].map(([name, all]) => [name, figuresOf(all)]));
  return { ...load, idleMs: stage.idleMs, modes: figures, ratios: ratiosOf(figures) };
}

async function available(site: { fleet: Fleet; load: Load }): Promise<Mode[]> {
  const named = flags.modes?.split(',');
  const chosen: Mode[] = [];
  for (const mode of modes.filter(({ name }) => named?.includes(name) ?? true)) {
    const reason = await mode.unavailable(site);
    if (reason === null) chosen.push(mode);
    else tell(`bench: ${mode.name} is left out: ${reason}\n`);
  }
  return chosen;
}

function tellMove({ sizeMiB, dirtyMiBps }: Load, { name }: Mode, round: number, measured: Measured): void {
  const { blackoutMs, gapMs, lost } = measured;
  const what =
    lost === null ? `blackout ${Math.round(blackoutMs)} ms, gap ${Math.round(gapMs)} ms` : `LOST ${lost}`;
  tell(`${sizeMiB} MiB, ${dirtyMiBps} MiB/s, round ${round}/${runs}: ${name}: ${what}\n`);
}

function loadsOf(sizes: readonly number[], rates: readonly number[]): Load[] {
  const [size = 10, rate = 0] = [sizes[0], rates[0]];
  return [
    ...sizes.map((sizeMiB) => ({ sizeMiB, dirtyMiBps: rate })),
    ...rates.slice(1).map((dirtyMiBps) => ({ sizeMiB: size, dirtyMiBps })),
  ];
}

function numbers(name: 'size' | 'dirty' | 'runs', least: number): number[] {
  const all = flags[name].split(',').map(Number);
  if (all.every((number) => Number.isInteger(number) && number >= least)) return all;
  throw new Error(`--${name} wants whole numbers from ${least}`);
}

function memoryText(peaks: Readonly<Record<string, number>>): string {
  const all = Object.entries(peaks).map(([name, mib]) => `${name} ${Math.round(mib)} MiB`);
  return `\npeak memory: ${all.join(', ')}\n`;
}

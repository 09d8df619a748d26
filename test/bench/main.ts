/**
 * `npm run bench -- [--json] [--kernel] [--size MIB,…] [--dirty MIB/S,…] [--runs N] [--modes NAME,…]`: the ways to move one container against
 * each other, in turn, on the same hosts. The first size with every dirty rate, and every size with the first dirty rate. `--kernel`: in
 * a virtual machine whose kernel tracks dirty pages, emulated and so several times slower. Needs root.
 * Nothing fails on a slow machine; exit code 1 means that it could not be measured.
 */
import { parseArgs } from 'node:util';
import { buildCmt } from '../support/cmt.ts';
import { interruption } from '../support/interruption.ts';
import type { Load } from './container.ts';
import { measureInMachine } from './in-machine.ts';
import { measure, type Audience, type Request } from './measure.ts';
import { pointText } from './text.ts';

const LEAST_RUNS = 5;

process.umask(0o077);
const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    kernel: { type: 'boolean', default: false },
    size: { type: 'string', default: '10' },
    dirty: { type: 'string', default: '0' },
    runs: { type: 'string', default: `${LEAST_RUNS}` },
    modes: { type: 'string' },
  },
});
const [runs = LEAST_RUNS] = numbers('runs', 1);
const request: Request = {
  loads: loadsOf(numbers('size', 1), numbers('dirty', 0)),
  runs,
  modes: flags.modes?.split(',') ?? null,
};
const audience: Audience = {
  line: (text) => void process.stderr.write(`${text}\n`),
  point: (point) => {
    if (!flags.json) process.stdout.write(pointText(point));
  },
};

await buildCmt();
const interrupted = interruption('interrupted; what was started is taken down');
const result = await (flags.kernel ? measureInMachine : measure)(request, audience, interrupted);
process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : memoryText(result.peakRssMiB));
process.exit();

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

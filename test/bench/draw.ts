/**
 * `node --import tsx test/bench/draw.ts FILE.json DIRECTORY`: the blackouts of `npm run bench -- --json` as pictures, `blackout-by-size.svg`
 * and `blackout-by-dirty-rate.svg`. One with fewer than two points is not drawn.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { picture } from './picture.ts';
import type { Point } from './figures.ts';

const [file = '', directory = '.'] = process.argv.slice(2);
const { points, runs, at } = JSON.parse(await readFile(file, 'utf8')) as {
  points: Point[];
  runs: number;
  at: string;
};
const [first] = points;
if (first === undefined) throw new Error(`${file} has no points`);

const about = `medians of ${runs} interleaved moves, ${at.slice(0, 10)}`;
await draw('size', 'MiB in memory', 'sizeMiB', 'dirtyMiBps');
await draw('dirty-rate', 'MiB/s written', 'dirtyMiBps', 'sizeMiB');

async function draw(name: string, unit: string, along: keyof Point, fixed: keyof Point): Promise<void> {
  const chosen = points.filter((point) => point[fixed] === first?.[fixed]);
  if (chosen.length < 2) return;
  const names = [...new Set(chosen.flatMap(({ modes }) => Object.keys(modes)))];
  const lines = names.map((mode) => ({
    name: mode,
    points: chosen.flatMap(({ [along]: x, modes }) => {
      const y = modes[mode]?.blackoutMs.median;
      return typeof x === 'number' && y ? [{ x, y }] : [];
    }),
  }));
  const path = join(directory, `blackout-by-${name}.svg`);
  await writeFile(path, picture({ lines, x: unit, y: 'blackout, ms', about }));
  process.stdout.write(`${path}\n`);
}

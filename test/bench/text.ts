/** A point of the benchmark for people. Pure. */
import type { ModeFigures, Point, Spread } from './figures.ts';

export function pointText({ sizeMiB, dirtyMiBps, idleMs, modes, ratios }: Point): string {
  const head = [
    '',
    'blackout',
    'p99',
    'client gap',
    'over blackout',
    'CRIU',
    'cmt’s own',
    'own p99',
    'drain',
    'wire/images',
    'lost',
  ];
  const rows = Object.entries(modes).map(([name, figures]) => rowOf(name, figures));
  return [
    `\n${sizeMiB} MiB, ${dirtyMiBps} MiB/s written (idle p99 ${idleMs.toFixed(1)} ms, medians in ms)`,
    ...tableLines([head, ...rows]),
    ...Object.entries(ratios).map(([name, ratio]) => `  ${name}: ${ratio ?? 'none'}`),
    '',
  ].join('\n');
}

function rowOf(name: string, figures: ModeFigures): string[] {
  const { blackoutMs, gapMs, gapOverBlackoutMs, criuMs, ownMs, drainMs } = figures;
  const { wireBytes, imageBytes, lost, runs } = figures;
  const share = wireBytes === null || imageBytes === null ? '' : (wireBytes / imageBytes).toFixed(2);
  return [
    name,
    ...[blackoutMs.median, blackoutMs.p99, gapMs.median, gapOverBlackoutMs.median].map(ms),
    ...[median(criuMs), median(ownMs), ownMs === null ? '' : ms(ownMs.p99), median(drainMs)],
    ...[share, `${lost.length}/${runs}`],
  ];
}

const ms = (number: number | null): string =>
  number === null ? 'infinite' : number.toFixed(number < 10 ? 1 : 0);
const median = (spread: Spread | null): string => (spread === null ? '' : ms(spread.median));

function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    `  ${row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join('  ')}`.trimEnd(),
  );
}

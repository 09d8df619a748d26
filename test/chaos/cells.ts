/**
 * The kill matrix as a table: which fault strikes in which row of the plan, and when. Pure; derived from the plan.
 *
 * A fault stands where it can matter: a worker dies in the rows in which its host has work, a link is cut where something
 * crosses it, and so on. Faults that are over in a moment strike before, during and after a row; those that cost longer
 * than a lock strike during it.
 */
import { stationsOf, WHENS, type Station, type Way, type When } from './rows.ts';

export type FaultName =
  | 'kill-coordinator'
  | 'kill-source-worker'
  | 'kill-target-worker'
  | 'kill-source-criu'
  | 'kill-waiting-criu'
  | 'kill-waiting-runc'
  | 'kill-source-runc'
  | 'kill-waiting-restore'
  | 'kill-target-criu'
  | 'kill-target-runc'
  | 'stop-coordinator'
  | 'stop-source-worker'
  | 'stop-target-worker'
  | 'restart-redis'
  | 'redis-outage'
  | 'empty-redis'
  | 'cut-hosts-apart'
  | 'cut-source-off'
  | 'cut-target-off'
  | 'cut-source-from-redis'
  | 'cut-target-from-redis'
  | 'fill-target'
  | 'reboot-source'
  | 'reboot-target';

export interface Cell {
  /** `<fault>:<row>:<when>`, and `:<way>` where that is not the plain one. Unique. */
  readonly name: string;
  readonly fault: FaultName;
  readonly station: Station;
  readonly when: When;
}

type Where = (station: Station) => boolean;

interface Rule {
  readonly fault: FaultName;
  readonly whens: readonly When[];
  readonly ways: readonly Way[];
  readonly where: Where;
}

const always: Where = () => true;
const during = ['during'] as const;
const named =
  (...names: readonly string[]): Where =>
  ({ row }) =>
    names.includes(row.name);
/** Rows in which that host has work: its own, both hosts', all of the blackout, and what it receives. */
const worksAt =
  (side: 'source' | 'target'): Where =>
  ({ row, way }) =>
    row.side === side ||
    row.side === 'both' ||
    (row.blackout && row.kind === 'step') ||
    (side === 'target' && row.name === 'sync-files') ||
    (way === 'back' && row.kind === 'step');
/** Rows in which bytes or commands cross the network. */
const crosses = named(
  ...['inspect', 'prepare', 'sync-files', 'freeze-and-dump', 'final-sync', 'restore-and-hold', 'release'],
  ...['confirm', 'retire', 'clean', 'discard', 'resume'],
);
const step: Where = ({ row }) => row.kind === 'step';
const hook: Where = ({ row }) => row.kind === 'hook';
/** Where hooks take the blackout apart, and the coordinator stands between its halves. */
const apart = named('restore-and-hold', 'release');
const between = named('pre-restore', 'restore-and-hold', 'release');

const rule = (fault: FaultName, whens: readonly When[], ways: readonly Way[], where: Where): Rule => ({
  ...{ fault, whens, ways, where },
});

const rules: readonly Rule[] = [
  rule('kill-coordinator', WHENS, ['plain'], always),
  rule('kill-coordinator', WHENS, ['hooked'], hook),
  rule('kill-coordinator', during, ['hooked'], apart),
  rule('kill-coordinator', WHENS, ['back'], step),
  rule('kill-coordinator', during, ['back'], hook),
  rule('kill-source-worker', WHENS, ['plain'], worksAt('source')),
  rule('kill-source-worker', during, ['hooked'], between),
  rule('kill-source-worker', during, ['back'], worksAt('source')),
  rule('kill-target-worker', WHENS, ['plain'], worksAt('target')),
  rule('kill-target-worker', during, ['hooked'], between),
  rule('kill-target-worker', during, ['back'], worksAt('target')),
  rule('kill-source-criu', during, ['plain'], named('freeze-and-dump')),
  rule('kill-waiting-criu', during, ['plain'], named('freeze-and-dump')),
  rule('kill-waiting-runc', during, ['plain'], named('freeze-and-dump')),
  // It is armed on the target, before the source freezes.
  rule('kill-waiting-restore', during, ['plain'], named('freeze-and-dump')),
  rule('kill-source-runc', during, ['plain'], named('inspect', 'freeze-and-dump', 'retire')),
  rule('kill-target-criu', during, ['plain'], named('restore-and-hold', 'release')),
  rule('kill-target-runc', during, ['plain'], named('restore-and-hold', 'release', 'confirm')),
  rule('stop-coordinator', during, ['plain'], always),
  rule('stop-coordinator', during, ['hooked'], hook),
  rule('stop-coordinator', during, ['back'], step),
  rule('stop-source-worker', during, ['plain'], worksAt('source')),
  rule('stop-source-worker', during, ['back'], named('discard', 'resume')),
  rule('stop-target-worker', during, ['plain'], worksAt('target')),
  rule('stop-target-worker', during, ['back'], named('discard', 'clean')),
  rule('restart-redis', WHENS, ['plain'], always),
  rule('restart-redis', during, ['hooked'], hook),
  rule('restart-redis', during, ['back'], step),
  rule('redis-outage', during, ['plain'], crosses),
  rule('empty-redis', during, ['plain'], always),
  rule('empty-redis', during, ['hooked'], hook),
  rule('empty-redis', during, ['back'], named('discard', 'resume')),
  rule(
    'cut-hosts-apart',
    during,
    ['plain'],
    named('prepare', 'sync-files', 'freeze-and-dump', 'final-sync', 'restore-and-hold', 'release', 'retire'),
  ),
  rule('cut-source-off', during, ['plain'], crosses),
  rule('cut-target-off', during, ['plain'], crosses),
  rule('cut-source-from-redis', during, ['plain'], crosses),
  rule('cut-source-from-redis', during, ['back'], named('discard', 'resume')),
  rule('cut-target-from-redis', during, ['plain'], crosses),
  rule('cut-target-from-redis', during, ['back'], named('discard', 'resume')),
  rule('fill-target', ['before', 'during'], ['plain'], named('prepare', 'freeze-and-dump')),
  rule(
    'fill-target',
    during,
    ['plain'],
    named('sync-files', 'final-sync', 'restore-and-hold', 'release', 'confirm', 'clean'),
  ),
  rule('reboot-source', during, ['plain'], always),
  rule('reboot-source', during, ['hooked'], named('pre-restore')),
  rule('reboot-target', during, ['plain'], always),
  rule('reboot-target', during, ['hooked'], named('pre-restore')),
  rule('reboot-target', during, ['back'], named('discard', 'resume')),
];

/** Every cell, in the order of the rules. */
export const cells: readonly Cell[] = rules.flatMap(({ fault, whens, ways, where }) =>
  ways.flatMap((way) =>
    stationsOf(way)
      .filter(where)
      .flatMap((station) =>
        whens.map((when) => ({ name: nameOf(fault, station, when), fault, station, when })),
      ),
  ),
);

function nameOf(fault: FaultName, { way, row }: Station, when: When): string {
  return [fault, row.name, when, ...(way === 'plain' ? [] : [way])].join(':');
}

/** Cells whose name has one of the comma-separated parts in it; a part that is a whole name means that cell alone. */
export function choose(filter: string): readonly Cell[] {
  const parts = filter.split(',').filter(Boolean);
  const exact = new Set(cells.map(({ name }) => name).filter((name) => parts.includes(name)));
  return cells.filter(({ name }) =>
    parts.some((part) => (exact.has(part) ? name === part : name.includes(part))),
  );
}

/** Every `of`th cell, beginning with number `part` (1 to `of`): all parts together are all cells, each of every fault. */
export const partOf = (all: readonly Cell[], part: number, of: number): readonly Cell[] =>
  all.filter((_, n) => n % of === part - 1);

/**
 * Few cells that together have every kind of fault, every row, every way and every moment. Greedy, and the same every time.
 * Of processes that are only killed, what `during` does is left to test/live/crashes-*.test.ts.
 */
export function representative(all: readonly Cell[]): readonly Cell[] {
  const left = all.filter((cell) => !isLeftToCrashSuite(cell)).sort(byDanger);
  const covered = new Set<string>();
  const chosen: Cell[] = [];
  for (;;) {
    const gain = (cell: Cell): number => traits(cell).filter((trait) => !covered.has(trait)).length;
    const best = left.reduce<Cell | undefined>(
      (found, cell) => (gain(cell) > (found === undefined ? 0 : gain(found)) ? cell : found),
      undefined,
    );
    if (best === undefined) return chosen;
    chosen.push(best);
    for (const trait of traits(best)) covered.add(trait);
  }
}

const KILLS: readonly FaultName[] = ['kill-coordinator', 'kill-source-worker', 'kill-target-worker'];

const isLeftToCrashSuite = ({ fault, station, when }: Cell): boolean =>
  KILLS.includes(fault) && when === 'during' && station.way !== 'back';

/** The blackout first: there two hosts have a hand on the container. */
const byDanger = (one: Cell, other: Cell): number =>
  Number(other.station.row.blackout) - Number(one.station.row.blackout);

const traits = ({ fault, station: { row, way }, when }: Cell): string[] => [
  `fault ${fault}`,
  `row ${row.name}`,
  `${way} ${when}`,
];

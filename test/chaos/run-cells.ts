/**
 * Runs cells over labs side by side.
 *
 * INVARIANTS
 * - Each lab runs one cell at a time; cells are handed out in order.
 * - After a cell that failed, that may have cost connections, or after which the container is lost or waits for an operator,
 *   the lab is made anew.
 * - Every lab is down when this settles, also after an abort.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Cell } from './cells.ts';
import { passed, type Outcome } from './report.ts';
import { runCell } from './run-cell.ts';
import { openSite, otherHost, type Site } from './site.ts';
import { judge, mayLoseConnections, type Seen } from './verdict.ts';

export interface RunOptions {
  /** How many at the same time. */
  readonly labs: number;
  readonly signal: AbortSignal;
  readonly onOutcome: (outcome: Outcome) => void;
  /** Called with the lab of a cell that failed, before it goes down. */
  readonly onFailure?: (site: Site, outcome: Outcome) => Promise<void>;
}

/** Milliseconds after which a cell counts as broken: longer than everything in it may take. */
const CELL_MS = 8 * 60_000;

/** A check that hangs must not take the other cells with it; the lab goes down, and with it whatever it waits for. */
async function limited(site: Site, cell: Cell, signal: AbortSignal): Promise<Seen> {
  const late = new AbortController();
  let doing = 'beginning';
  const clock = pause(CELL_MS, undefined, { signal: late.signal }).then(() => nothingSeen(site, doing));
  clock.catch(() => undefined);
  try {
    return await Promise.race([runCell(site, cell, signal, (now) => (doing = now)), clock]);
  } finally {
    late.abort();
  }
}

const nothingSeen = (site: Site, doing: string): Seen => ({
  ...{ source: site.here, target: otherHost(site), struckAt: null, healedAt: null, endedAt: Date.now() },
  ...{ state: null, message: null, events: [], intervals: [], connections: [], history: [], leftovers: [] },
  copies: { maxRunningAtOnce: 1, minRunnable: 1 },
  error: `the check of the cell did not end in ${CELL_MS} ms: it hangs ${doing}`,
});

/** A tool may be over before this machine lets anybody look: then the migration has gone well, and is made once more. */
const TRIES = 4;
const wasMissed = ({ struckAt, error, state }: Seen): boolean =>
  struckAt === null && error === null && (state === 'done' || state === 'rolled-back');

/** The container's file of ticks grows all the time, and is carried along: after so many cells a new one begins. */
const CELLS_PER_LAB = 40;

export async function runCells(cells: readonly Cell[], options: RunOptions): Promise<Outcome[]> {
  const waiting = [...cells];
  const outcomes: Outcome[] = [];
  const lanes = Array.from({ length: Math.min(options.labs, cells.length) }, (_, n) =>
    lane(`chaos${n + 1}x`, waiting, outcomes, options),
  );
  const ended = await Promise.allSettled(lanes);
  const broken = ended.find((lane) => lane.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  return outcomes;
}

async function lane(name: string, waiting: Cell[], outcomes: Outcome[], options: RunOptions): Promise<void> {
  let site: Site | undefined;
  let used = 0;
  try {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      options.signal.throwIfAborted();
      site ??= await openSite(name);
      const outcome = await inSite(site, cell, options.signal);
      outcomes.push(outcome);
      options.onOutcome(outcome);
      if (!passed(outcome)) await options.onFailure?.(site, outcome);
      used += 1;
      if (passed(outcome) && isAsItWas(outcome) && used % CELLS_PER_LAB !== 0) continue;
      await site.close();
      site = undefined;
    }
  } finally {
    await site?.close();
  }
}

async function inSite(site: Site, cell: Cell, signal: AbortSignal): Promise<Outcome> {
  const begun = performance.now();
  let seen = await limited(site, cell, signal);
  for (let tries = 1; tries < TRIES && wasMissed(seen); tries += 1) seen = await limited(site, cell, signal);
  return { cell, seen, verdict: judge(cell, seen), ms: performance.now() - begun };
}

/** One container, which was there all along, with its connections, and nothing that waits for an operator. */
const isAsItWas = ({ cell, verdict: { end }, seen }: Outcome): boolean =>
  seen.copies.minRunnable > 0 &&
  !mayLoseConnections(cell, seen) &&
  end !== null &&
  ['done', 'rolled-back', 'refused', 'cancelled'].includes(end);

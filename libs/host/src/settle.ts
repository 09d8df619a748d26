/**
 * What a worker does first: every hand-over that its journal says is open is settled as far as one host may settle it.
 *
 * INVARIANTS
 * - What was journalled is finished (COMMITTED opens, DISCARDED and RETIRED are taken away, RESUMED runs on); nothing new is begun.
 * - A held copy waits for the record; a frozen source waits to be told. Neither chooses by itself (lifecycle H2, H5).
 * - A side that was declared fenced by an operator's word runs nothing and clears up (H8); who cannot ask for it, waits.
 * - One entry that cannot be settled does not keep the others from it.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CmtError,
  type Decision,
  type MigrationId,
  type Resolution,
  type WorkerConfig,
} from '@cmt/contracts';
import type { StepContext } from './context.ts';
import type { Journal, JournalEntry, Phase } from './journal.ts';
import { spillRoot } from './places.ts';
import { settleFenced, steps } from './steps/index.ts';

/** What became of one entry. */
export interface Settlement {
  readonly migration: MigrationId;
  readonly container: string;
  readonly phase: Phase;
  /** `alarm`: a copy runs here that must not. */
  readonly outcome: 'finished' | 'waits' | 'failed' | 'alarm';
  /** For the log: what was done, what it waits for, or what went wrong. */
  readonly text: string;
}

/** What an open entry asks for. */
export type Claim = 'release' | 'discard' | 'resume' | 'retire' | 'wait';

/** Longest wait for the record of a held copy; the coordinator asks again anyway. Milliseconds. */
const DECISION_LIMIT_MS = 5_000;

/** What this host alone may do about an entry. Pure. */
export function claimOf(entry: Pick<JournalEntry, 'phase'>, decision: Decision | null): Claim {
  switch (entry.phase) {
    case 'COMMITTED':
      return 'release';
    case 'HELD':
      return decision === 'COMMIT' ? 'release' : decision === 'ABORT' ? 'discard' : 'wait';
    case 'DISCARDED':
      return 'discard';
    case 'RESUMED':
      return 'resume';
    case 'RETIRED':
      return 'retire';
    case 'SENDING':
    case 'FROZEN':
    case 'PREPARED':
    case 'RUNNING':
      return 'wait';
  }
}

/** Settles all open entries, one after the other. `contextFor` gives each a context of its own migration and epoch. */
export async function settle(
  journal: Journal,
  contextFor: (entry: JournalEntry) => StepContext,
): Promise<Settlement[]> {
  const settlements: Settlement[] = [];
  for (const entry of await journal.open()) settlements.push(await settleEntry(entry, contextFor(entry)));
  return settlements;
}

/** Settles only those open entries whose side an operator has declared fenced; the others are left as they are. */
export async function settleFencedSides(
  journal: Journal,
  contextFor: (entry: JournalEntry) => StepContext,
): Promise<Settlement[]> {
  const settlements: Settlement[] = [];
  for (const entry of await journal.open()) {
    const context = contextFor(entry);
    const resolution = await resolutionOf(entry, context);
    if (isAbout(entry, resolution)) settlements.push(await settleFencedSide(entry, resolution, context));
  }
  return settlements;
}

async function settleEntry(entry: JournalEntry, context: StepContext): Promise<Settlement> {
  const resolution = await resolutionOf(entry, context);
  if (isAbout(entry, resolution)) return await settleFencedSide(entry, resolution, context);
  const { migration, container, phase } = entry;
  if (resolution === 'unknown' && RUNS_AGAIN.includes(phase))
    return {
      migration,
      container,
      phase,
      outcome: 'waits',
      text: 'Redis does not say whether this host was fenced',
    };
  try {
    const claim = claimOf(entry, phase === 'HELD' ? await decisionOf(entry, context) : null);
    if (claim === 'wait') return { migration, container, phase, outcome: 'waits', text: WAITING[phase] };
    const { runtime, bundle, network } = entry;
    await steps[claim]({ subject: { runtime, container, bundle }, network }, context);
    return { migration, container, phase, outcome: 'finished', text: `${claim} was finished` };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { migration, container, phase, outcome: 'failed', text };
  }
}

const isAbout = (entry: JournalEntry, resolution: Resolution | null | 'unknown'): resolution is Resolution =>
  resolution !== 'unknown' && resolution?.fenced === entry.side;

async function settleFencedSide(
  entry: JournalEntry,
  resolution: Resolution,
  context: StepContext,
): Promise<Settlement> {
  const { migration, container, phase } = entry;
  const settled = { migration, container, phase };
  try {
    if (await settleFenced(entry, resolution, context))
      return { ...settled, outcome: 'finished', text: 'this host was fenced: what was left here is gone' };
    return { ...settled, outcome: 'waits', text: 'this host was fenced: the other side has not gone on yet' };
  } catch (error) {
    const runs = error instanceof CmtError && error.failure.code === 'FENCED_COPY_RUNS';
    const text = error instanceof Error ? error.message : String(error);
    return { ...settled, outcome: runs ? 'alarm' : 'failed', text };
  }
}

/** Phases in which a copy here would be set running again. */
const RUNS_AGAIN: readonly Phase[] = ['COMMITTED', 'HELD', 'RESUMED'];

async function resolutionOf(
  entry: JournalEntry,
  context: StepContext,
): Promise<Resolution | null | 'unknown'> {
  const signal = AbortSignal.any([context.signal, context.machine.clock.limit(DECISION_LIMIT_MS)]);
  try {
    return await context.decisions.resolution(entry.migration, signal);
  } catch {
    return 'unknown';
  }
}

async function decisionOf(entry: JournalEntry, context: StepContext): Promise<Decision | null> {
  const signal = AbortSignal.any([context.signal, context.machine.clock.limit(DECISION_LIMIT_MS)]);
  try {
    return await context.decisions.read(entry.migration, entry.epoch, signal);
  } catch {
    return null;
  }
}

const WAITING: Record<Phase, string> = {
  SENDING: 'the container runs; the coordinator goes on with it',
  FROZEN: 'the container stands frozen until the coordinator has it resumed or retired',
  PREPARED: 'the coordinator prepares or discards it again',
  HELD: 'the restored copy is held: no decision can be read yet',
  RUNNING: 'the container runs; the coordinator confirms it',
  COMMITTED: '',
  RETIRED: '',
  RESUMED: '',
  DISCARDED: '',
};

/** Images on this host that no open entry of the journal speaks of: left by a crash before the first entry, or by hand. */
export async function orphans(config: WorkerConfig, journal: Journal): Promise<string[]> {
  const known = new Set((await journal.open()).map(({ migration }) => migration));
  const roots = [config.imagesDir, spillRoot(config)];
  const unknownIn = async (root: string): Promise<string[]> =>
    (await namesIn(root)).filter((name) => !known.has(name)).map((name) => join(root, name));
  return (await Promise.all(roots.map(unknownIn))).flat();
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);

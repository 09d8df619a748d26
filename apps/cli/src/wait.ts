/** Waiting for the end of a migration, and what Ctrl-C means meanwhile. */
import { CmtError, isEnd, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { ExitCode } from './exit-codes.ts';
import type { EventId } from '@cmt/queue';
import type { Fleet } from './fleet.ts';
import type { Io } from './io.ts';
import type { Standstill } from './present/standstill.ts';

/** Milliseconds between looks at those who work on the migration. */
const LOOK_MS = 5_000;
/**
 * Looks in vain after which it is given up: a coordinator starts at once; Redis may be away for as long as a machine needs to
 * start; and a migration that Redis has forgotten is taken up again from its hosts' journals, or never was begun.
 */
const PATIENCE = { coordinator: 4, redis: 24, migration: 12 };

export interface Waiting {
  readonly show: (event: MigrationEvent) => void;
  /** Asks for the migration once more, when neither Redis nor its hosts know it: it never began. */
  readonly askAgain?: () => Promise<unknown>;
}

/**
 * Shows a migration's events from its beginning and returns it as it ended.
 * Ctrl-C ends this process, never the migration.
 * @throws {CmtError} COORDINATOR_MISSING when nobody works on it, REDIS_UNREACHABLE, MIGRATION_UNKNOWN
 */
export async function awaitEnd(
  fleet: Fleet,
  id: string,
  io: Io,
  { show, askAgain }: Waiting,
): Promise<MigrationReport> {
  return waiting(fleet, { id, askAgain }, io, (signal) =>
    followToEnd(fleet, id, { show, from: true, signal }),
  );
}

/**
 * Shows what becomes of an operator's word and returns the migration as it then ended.
 * @throws {CmtError} what the coordinator refused the word with, and as `awaitEnd`
 */
export async function awaitObeyed(
  fleet: Fleet,
  still: Standstill,
  io: Io,
  { show, since }: { readonly show: (event: MigrationEvent) => void; readonly since: EventId },
): Promise<MigrationReport> {
  const { id } = still.report;
  return waiting(fleet, { id, askAgain: undefined }, io, async (signal) => {
    await fleet.untilTaken(still, signal);
    signal.throwIfAborted();
    const report = await followToEnd(fleet, id, { show, from: since, signal });
    const refused = await fleet.refusalOf(id, signal);
    signal.throwIfAborted();
    if (refused !== null) throw new CmtError(refused.code, refused.details);
    return report;
  });
}

/** Waits as long as a coordinator is there. Ctrl-C ends this process, never the migration. */
async function waiting<T>(
  fleet: Fleet,
  watched: Watched,
  io: Io,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const watch = watchOver(fleet, watched, stop);
  const leave = leavingOnInterrupt(watched.id, io);
  try {
    return await work(stop.signal);
  } finally {
    leave();
    clearInterval(watch);
  }
}

interface Following {
  readonly show: (event: MigrationEvent) => void;
  readonly from: boolean | EventId;
  readonly signal: AbortSignal;
}

async function followToEnd(
  fleet: Fleet,
  id: string,
  { show, from, signal }: Following,
): Promise<MigrationReport> {
  for await (const event of fleet.follow(id, { from, signal })) show(event);
  signal.throwIfAborted();
  return await endOf(fleet, id);
}

/** The stream ends when the migration does, or when it has become too old to be kept. */
async function endOf(fleet: Fleet, id: string): Promise<MigrationReport> {
  const report = await fleet.status(id);
  if (isEnd(report.state)) return report;
  throw new CmtError('INTERNAL', {
    ...{ host: 'this machine', step: 'watching', reason: `the events of ${id} ended before it did` },
  });
}

interface Watched {
  readonly id: string;
  readonly askAgain: (() => Promise<unknown>) | undefined;
}

function watchOver(fleet: Fleet, { id, askAgain }: Watched, stop: AbortController): NodeJS.Timeout {
  const missed = { coordinator: 0, redis: 0, migration: 0 };
  const look = async (): Promise<void> => {
    try {
      missed.coordinator = (await fleet.hasCoordinator()) ? 0 : missed.coordinator + 1;
      missed.migration = (await fleet.knows(id)) ? 0 : missed.migration + 1;
      missed.redis = 0;
    } catch (error) {
      missed.redis += 1;
      if (missed.redis >= PATIENCE.redis) throw error;
    }
    if (missed.coordinator >= PATIENCE.coordinator) throw new CmtError('COORDINATOR_MISSING');
    if (missed.migration < PATIENCE.migration) return;
    if (askAgain === undefined) throw new CmtError('MIGRATION_UNKNOWN', { migration: id });
    missed.migration = 0;
    await askAgain();
  };
  return setInterval(() => void look().catch((error: unknown) => stop.abort(error)), LOOK_MS);
}

/** Says how to go on and ends this process. @returns takes the handler away again. */
function leavingOnInterrupt(id: string, io: Io): () => void {
  const leave = (): never => {
    io.err(
      `\nThe migration goes on.\n  cmt watch ${id}   watches it again\n  cmt cancel ${id}  asks for its end\n`,
    );
    process.exit(ExitCode.interrupted);
  };
  process.once('SIGINT', leave);
  return () => process.off('SIGINT', leave);
}

/** Waiting for the end of a migration, and what Ctrl-C means meanwhile. */
import { CmtError, isEnd, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { ExitCode } from './exit-codes.ts';
import type { EventId } from '@cmt/queue';
import type { Fleet } from './fleet.ts';
import type { Io } from './io.ts';
import type { Standstill } from './present/standstill.ts';

/** Milliseconds between looks at the coordinator, and the looks in vain after which it counts as missing. */
const LOOK_MS = 5_000;
const PATIENCE = 4;

/**
 * Shows a migration's events from its beginning and returns it as it ended.
 * Ctrl-C ends this process, never the migration.
 * @throws {CmtError} COORDINATOR_MISSING when nobody works on it, REDIS_UNREACHABLE
 */
export async function awaitEnd(
  fleet: Fleet,
  id: string,
  io: Io,
  show: (event: MigrationEvent) => void,
): Promise<MigrationReport> {
  return waiting(fleet, id, io, (signal) => followToEnd(fleet, id, { show, from: true, signal }));
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
  return waiting(fleet, id, io, async (signal) => {
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
  id: string,
  io: Io,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const watch = watchCoordinator(fleet, stop);
  const leave = leavingOnInterrupt(id, io);
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
  for await (const event of fleet.follow(id, signal, from)) show(event);
  signal.throwIfAborted();
  return await endOf(fleet, id);
}

/** The stream ends when the migration does, or when it has become too old to be kept. */
async function endOf(fleet: Fleet, id: string): Promise<MigrationReport> {
  const report = await fleet.migration(id);
  if (isEnd(report.state)) return report;
  throw new CmtError('INTERNAL', {
    ...{ host: 'this machine', step: 'watching', reason: `the events of ${id} ended before it did` },
  });
}

function watchCoordinator(fleet: Fleet, stop: AbortController): NodeJS.Timeout {
  let missed = 0;
  const look = async (): Promise<void> => {
    missed = (await fleet.hasCoordinator()) ? 0 : missed + 1;
    if (missed >= PATIENCE) stop.abort(new CmtError('COORDINATOR_MISSING'));
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

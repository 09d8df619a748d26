/** Waiting for the end of a migration, and what Ctrl-C means meanwhile. */
import { CmtError, isEnd, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { ExitCode } from './exit-codes.ts';
import type { Fleet } from './fleet.ts';
import type { Io } from './io.ts';

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
  const stop = new AbortController();
  const watch = watchCoordinator(fleet, stop);
  const leave = leavingOnInterrupt(id, io);
  try {
    for await (const event of fleet.follow(id, stop.signal)) show(event);
    if (stop.signal.aborted) throw stop.signal.reason as Error;
    return await endOf(fleet, id);
  } finally {
    leave();
    clearInterval(watch);
  }
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

/** A migration that is known by its id, shown until its end. */
import { exitCodeOfReport, type ExitCode } from './exit-codes.ts';
import type { Fleet } from './fleet.ts';
import type { Io } from './io.ts';
import { liveOn } from './live.ts';
import { printEnd } from './present/end.ts';
import { awaitEnd } from './wait.ts';

/** @throws {CmtError} as `awaitEnd` */
export async function showToEnd(fleet: Fleet, id: string, io: Io): Promise<ExitCode> {
  io.err(`migration ${id}\n`);
  const live = liveOn(io);
  const ended = await awaitEnd(fleet, id, io, { show: live.show }).finally(live.end);
  printEnd(ended, io);
  return exitCodeOfReport(ended);
}

/** A migration or a drain that is known by its id, shown until its end. */
import { exitCodeOfReport, type ExitCode } from './exit-codes.ts';
import type { Fleet } from './fleet.ts';
import type { Io } from './io.ts';
import { liveOn } from './live.ts';
import { printEnd } from './present/end.ts';
import { awaitEnd } from './wait.ts';
import { awaitOrder } from './wait-order.ts';

/** @throws {CmtError} as `awaitEnd` */
export async function showToEnd(fleet: Fleet, id: string, io: Io): Promise<ExitCode> {
  io.err(`migration ${id}\n`);
  const live = liveOn(io);
  const ended = await awaitEnd(fleet, id, io, { show: live.show }).finally(live.end);
  printEnd(ended, io);
  return exitCodeOfReport(ended);
}

/** What a schedule has begun under that id. @throws {CmtError} as `awaitEnd` and `awaitOrder` */
export async function showScheduled(fleet: Fleet, schedule: string, id: string, io: Io): Promise<ExitCode> {
  const known = (await fleet.schedules()).find((each) => each.schedule.name === schedule);
  const work = known?.schedule.work;
  const report = work?.kind === 'drain' ? await fleet.drainOf(work.order.host) : null;
  return report?.id === id ? awaitOrder(fleet, report, io) : showToEnd(fleet, id, io);
}

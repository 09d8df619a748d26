/** Waiting for the end of a drain. Ctrl-C ends this process, never the drain. */
import { CmtError, isDrainOver, type DrainReport } from '@cmt/contracts';
import { setTimeout as pause } from 'node:timers/promises';
import { ExitCode, exitCodeOfDrain } from './exit-codes.ts';
import type { Fleet } from './fleet.ts';
import { printJson, type Io } from './io.ts';
import { drainText, moveLine } from './present/drains.ts';
import { errorObject, failureText } from './present/failure.ts';

/** Milliseconds between looks, and looks between those at who works on it. */
const LOOK_MS = 500;
const COORDINATOR_LOOK = 10;
/** Looks at coordinators in vain after which it is given up. */
const PATIENCE = 4;

/** Shows what happens until it is over, then how it ended. @throws {CmtError} COORDINATOR_MISSING, REDIS_UNREACHABLE */
export async function awaitOrder(fleet: Fleet, first: DrainReport, io: Io): Promise<ExitCode> {
  const ended = await untilOver(fleet, first, io);
  const code = exitCodeOfDrain(ended);
  const { failure } = ended;
  const error = failure ? { error: errorObject(failure) } : {};
  if (io.json) printJson(io, code === ExitCode.done, { drain: ended, ...error });
  else {
    io.out(drainText(ended, io.outPaint));
    if (failure) io.err(failureText(failure, io.errPaint));
  }
  return code;
}

/** The report at its end. */
export async function untilOver(fleet: Fleet, first: DrainReport, io: Io): Promise<DrainReport> {
  const leave = leavingOnInterrupt(first, io);
  let before = first;
  try {
    for (let looks = 0, missed = 0; !isDrainOver(before); looks += 1) {
      await pause(LOOK_MS);
      const now = await fleet.drainOf(first.host);
      // Another order stands there only when this one is over.
      if (now === null || now.id !== first.id) return before;
      tell(before, now, io);
      before = now;
      if (looks % COORDINATOR_LOOK !== 0) continue;
      missed = (await fleet.hasCoordinator()) ? 0 : missed + 1;
      if (missed >= PATIENCE) throw new CmtError('COORDINATOR_MISSING');
    }
    return before;
  } finally {
    leave();
  }
}

function tell(before: DrainReport, now: DrainReport, io: Io): void {
  const lines = (report: DrainReport) => report.moves.map(moveLine);
  const known = new Set(lines(before));
  for (const line of lines(now)) if (!known.has(line)) io.err(`${line}\n`);
}

/** @returns takes the handler away again */
function leavingOnInterrupt({ host }: DrainReport, io: Io): () => void {
  const leave = (): never => {
    io.err(
      `\nIt goes on.\n  cmt drain ${host} --wait  watches it again\n  cmt undrain ${host}       ends it\n`,
    );
    process.exit(ExitCode.interrupted);
  };
  process.once('SIGINT', leave);
  return () => process.off('SIGINT', leave);
}
